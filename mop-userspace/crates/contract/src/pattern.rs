//! stub
#[derive(Debug)]
pub struct Pattern(fancy_regex::Regex, String);
#[derive(Debug, Clone)]
pub struct PatternError;
impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bad pattern")
    }
}
pub struct Exhausted;
impl Pattern {
    pub fn compile(s: &str) -> Result<Self, PatternError> {
        fancy_regex::Regex::new(&s.replace("\\00", "\\x00"))
            .map(|r| Self(r, s.into()))
            .map_err(|_| PatternError)
    }
    pub fn is_match(&self, t: &str) -> Result<bool, Exhausted> {
        self.0.is_match(t).map_err(|_| Exhausted)
    }
    pub fn source(&self) -> &str {
        &self.1
    }
}
