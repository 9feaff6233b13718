//! One connection to the broker, from the first packet to the last.
//!
//! Recovery is not the client library's: with every trouble the connection is given up and another
//! one made. A connection that is given up must also end. The library alone would keep the thread and
//! the socket of a peer that answers nothing for ever, so a second handle of the socket is kept here,
//! and dropping a `Link` shuts the socket down, at whatever stage it is.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use lapin::{
    Connection, ConnectionProperties,
    options::ConfirmSelectOptions,
    tcp::{AsyncTcpStream, RustlsConnector},
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism},
};
use tokio::time::timeout;

use super::{
    configuration::{Authentication, Place, RabbitMqConfiguration},
    courier::Courier,
    errors, tls, topology,
};
use crate::sinks::Trouble;

/// A connection on which messages can be published.
pub(super) struct Link {
    pub(super) courier: Courier,
    connection: Connection,
    // Last: the connection is dropped before its socket is shut down.
    _socket: Arc<Socket>,
}

impl Link {
    /// Connects, says who it is, and makes sure that the topology is there.
    pub(super) async fn open(
        configuration: &RabbitMqConfiguration,
        node: &str,
    ) -> Result<Self, Trouble> {
        let limit = configuration.connect_timeout;
        let place = configuration.place().map_err(|error| Trouble::lasting("refused", error))?;
        let doing = format!("connecting to {}:{}", place.host, place.port);
        let connector = if place.tls {
            let identity =
                configuration.certificate_file.as_deref().zip(configuration.key_file.as_deref());
            Some(tls::connector(configuration.ca_file.as_deref(), identity)?)
        } else {
            None
        };
        let uri = uri(configuration, &place)?;
        let socket = Arc::new(Socket::default());
        let opening = async {
            let name = format!("mop {node}");
            let connection = connect(uri, connector, Arc::downgrade(&socket), limit, name)
                .await
                .map_err(|error| errors::trouble(&doing, &error))?;
            topology::ensure(&connection, configuration).await?;
            let failed = |error| errors::trouble("opening a channel with confirms", &error);
            let channel = connection.create_channel().await.map_err(failed)?;
            channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
            let courier = Courier::start(
                channel,
                connection.events_listener(),
                &configuration.amqp_exchange,
                configuration.window,
                configuration.confirm_timeout,
            );
            Ok((courier, connection))
        };
        // When time is up, the socket is dropped with the rest.
        let (courier, connection) = timeout(limit, opening).await.map_err(|_elapsed| {
            Trouble::passing("silent", format!("{doing}: no answer within {limit:?}"))
        })??;
        Ok(Self { courier, connection, _socket: socket })
    }

    /// Says goodbye, in bounded time.
    pub(super) async fn close(self) {
        let goodbye = self.connection.close(200, "done".into());
        // What was confirmed is confirmed: a broker that does not answer any more costs nothing.
        let _answered = timeout(GOODBYE_LIMIT, goodbye).await;
    }
}

/// Connects, under a name for the broker's administrators. The caller keeps the socket as long as it
/// wants the connection.
pub(crate) async fn connect(
    uri: AMQPUri,
    connector: Option<RustlsConnector>,
    socket: Weak<Socket>,
    limit: Duration,
    name: String,
) -> lapin::Result<Connection> {
    let runtime = lapin::runtime::default_runtime()?;
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    Connection::connector(
        uri,
        runtime,
        async move |uri: AMQPUri, runtime| {
            let reaching = async {
                let AMQPAuthority { host, port, .. } = &uri.authority;
                let addresses: Vec<_> =
                    tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    let plain = plain.get_ref();
                    plain.set_nodelay(true)?;
                    let Some(socket) = socket.upgrade() else {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    };
                    socket.keep(plain.as_fd().try_clone_to_owned()?.into());
                }
                match &connector {
                    Some(connector) => stream.into_rustls(connector, host).await,
                    None => Ok(stream),
                }
            };
            // This runs on a thread of its own, which nobody waits for: it must end by itself.
            let reached = timeout(limit, reaching).await.unwrap_or_else(|_elapsed| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
            });
            Ok(reached?)
        },
        properties,
    )
    .await
}

fn uri(configuration: &RabbitMqConfiguration, place: &Place) -> Result<AMQPUri, Trouble> {
    let (userinfo, mechanism) = match configuration.auth {
        Authentication::External => {
            let nobody = AMQPUserInfo { username: String::new(), password: String::new() };
            (nobody, SASLMechanism::External)
        }
        Authentication::Plain => {
            let username = configuration.username().unwrap_or_default();
            let password = configuration.password()?;
            (AMQPUserInfo { username, password }, SASLMechanism::Plain)
        }
    };
    Ok(AMQPUri {
        scheme: if place.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority { userinfo, host: place.host.clone(), port: place.port },
        vhost: place.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: u16::try_from(configuration.heartbeat.as_secs()).ok(),
            auth_mechanism: Some(mechanism),
            ..AMQPQueryString::default()
        },
    })
}

/// A second handle of the socket, which is shut down when this is dropped. The thread that connects
/// has a weak one only: when nobody waits for the connection any more, it ends.
#[derive(Default)]
pub(crate) struct Socket(Mutex<Option<TcpStream>>);

impl Socket {
    fn keep(&self, stream: TcpStream) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let kept = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = kept.take() {
            // It may be closed already: not an error.
            let _shut = stream.shutdown(Shutdown::Both);
        }
    }
}

/// For an orderly end, which is only a courtesy.
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);
