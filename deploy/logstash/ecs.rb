# Makes a document of the Elastic Common Schema of a record of MOP.
#
# The record lies in [mop] and stays there; what ECS has a field for is copied to it. Logstash calls
# `filter` for each event. Plain Ruby 3.1, without anything of Logstash but the event's `get` and
# `set`, so that it can be run and tested by itself.

ECS_VERSION = '9.0.0'.freeze

# By the kind, or its first word: event.kind, event.category, event.type.
KINDS = {
  'quality.report' => ['event', ['api'], ['info']],
  'quality.summary' => ['metric', ['api'], ['info']],
  'quality.fill' => ['metric', ['api'], ['info']],
  'security' => ['alert', ['intrusion_detection'], ['info']],
  'data' => ['event', ['api'], ['access']],
  'ops' => ['metric', [], ['info']]
}.freeze

OUTCOMES = { 'conforming' => 'success', 'violating' => 'failure', 'unjudged' => 'unknown' }.freeze

def filter(event)
  record = event.get('[mop]')
  kind = record['kind'] if record.is_a?(Hash)
  id = record['id'] if record.is_a?(Hash)
  unless kind.is_a?(String) && id.is_a?(String)
    event.tag('_mop_no_record')
    return [event]
  end
  describe(event, record, kind, id)
  place(event)
  call(event, record)
  violations(event, record)
  [event]
end

def describe(event, record, kind, id)
  event_kind, category, type = KINDS[kind] || KINDS[kind.split('.').first] || ['event', [], ['info']]
  put(event, '[ecs][version]', ECS_VERSION)
  put(event, '[event][id]', id)
  put(event, '[event][module]', 'mop')
  put(event, '[event][dataset]', "mop.#{kind}")
  put(event, '[event][kind]', event_kind)
  put(event, '[event][category]', category) unless category.empty?
  put(event, '[event][type]', type)
  put(event, '[event][outcome]', OUTCOMES[record['verdict']])
  window = record['window'] || {}
  put(event, '[event][start]', window['start'] || record['from'])
  put(event, '[event][end]', window['end'] || record['to'])
  time = record['ts'] || window['start'] || record['to']
  put(event, '@timestamp', time && timestamp(time))
  put(event, '[@metadata][mop_id]', id)
end

# Which node it is from, and where it stands among its records.
def place(event)
  headers = event.get('[@metadata][rabbitmq_headers]') || {}
  put(event, '[observer][product]', 'MOP')
  put(event, '[observer][type]', 'api')
  put(event, '[observer][name]', headers['x-mop-node'])
  put(event, '[event][sequence]', headers['x-mop-sequence'])
  put(event, '[labels][mop_stream]', headers['x-mop-stream'])
  put(event, '[labels][mop_epoch]', headers['x-mop-epoch'] && headers['x-mop-epoch'].to_s)
end

def call(event, record)
  put(event, '[http][request][method]', record['method'])
  put(event, '[http][response][status_code]', record['status'])
  put(event, '[url][path]', record['template'])
  put(event, '[service][name]', record['api'])
  put(event, '[service][version]', record['api_version'])
  put(event, '[trace][id]', record['exchange'])
  counterpart = record['counterpart']
  return if counterpart.nil? || counterpart == '(other)'

  put(event, '[organization][name]', counterpart)
  put(event, '[destination][domain]', counterpart)
end

# ECS has one rule a document; its fields take lists.
def violations(event, record)
  corrected = record['corrected'] || {}
  found = (corrected['violations'] || []) + (record['rules'] || []) + (record['codes'] || [])
  return if found.empty?

  put(event, '[rule][id]', found.map { |one| one['code'] }.uniq)
  put(event, '[rule][name]', found.map { |one| one['violation'] }.compact.uniq)
  put(event, '[rule][ruleset]', record['api'])
  put(event, '[rule][version]', record['api_version'])
  put(event, '[rule][category]', 'contract')
end

# What is not known is left out.
def put(event, path, value)
  event.set(path, value) unless value.nil?
end

def timestamp(text)
  defined?(LogStash::Timestamp) ? LogStash::Timestamp.new(text) : text
end
