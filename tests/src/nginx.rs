//! A real nginx in a folder of its own.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Result;

use crate::{Certificates, Process, bound, free_port, listening, tool};

/// A running nginx; it ends when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    port: u16,
    folder: PathBuf,
}

/// What kind of nginx is wanted.
#[derive(Debug)]
pub struct NginxBuilder {
    folder: PathBuf,
    tls: Option<Tls>,
    protocols: String,
    speaks_http2: bool,
    http: String,
    locations: String,
    workers: u32,
    cpu: Option<u32>,
}

#[derive(Debug)]
struct Tls {
    server: PathBuf,
    key: PathBuf,
}

impl Nginx {
    /// Begins with a plain server that has no location.
    #[must_use]
    pub fn builder(folder: &Path) -> NginxBuilder {
        NginxBuilder {
            folder: folder.join(format!("nginx-{}", free_port())),
            tls: None,
            protocols: "TLSv1.2 TLSv1.3".to_owned(),
            speaks_http2: false,
            http: String::new(),
            locations: String::new(),
            workers: 1,
            cpu: None,
        }
    }

    /// The port it listens on, on 127.0.0.1 and ::1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the master.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it wrote to its log of errors.
    #[must_use]
    pub fn errors(&self) -> String {
        fs::read_to_string(self.folder.join("error.log")).unwrap_or_default()
    }
}

impl NginxBuilder {
    /// Serves TLS 1.2 and 1.3 with these certificates.
    #[must_use]
    pub fn tls(mut self, certificates: &Certificates) -> Self {
        self.tls = Some(Tls { server: certificates.server(), key: certificates.key() });
        self
    }

    /// Speaks these versions of TLS, by nginx's names, with whatever cipher suites they have.
    #[must_use]
    pub fn protocols(mut self, protocols: &str) -> Self {
        self.protocols = format!("{protocols};\nssl_ciphers ALL:@SECLEVEL=0");
        self
    }

    /// Speaks HTTP/2: with TLS also, without TLS only.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.speaks_http2 = true;
        self
    }

    /// Adds directives of the `http` level.
    #[must_use]
    pub fn http(mut self, directives: &str) -> Self {
        self.http.push_str(directives);
        self
    }

    /// Adds a location: `location("= /x", "return 204;")`.
    #[must_use]
    pub fn location(mut self, pattern: &str, directives: &str) -> Self {
        let _infallible = writeln!(self.locations, "location {pattern} {{ {directives} }}");
        self
    }

    /// Runs on one CPU only.
    #[must_use]
    pub fn cpu(mut self, cpu: u32) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// Starts it and waits until it accepts connections.
    pub fn start(self) -> Result<Nginx> {
        fs::create_dir_all(self.folder.join("temp"))?;
        let port = free_port();
        let configuration = self.folder.join("nginx.conf");
        fs::write(&configuration, self.configuration(port))?;
        let nginx = tool("nginx").unwrap_or_else(|| PathBuf::from("nginx"));
        let mut command = match self.cpu {
            Some(cpu) => {
                let mut command = bound("taskset");
                command.arg("-c").arg(cpu.to_string()).arg(nginx);
                command
            }
            None => bound(nginx),
        };
        command
            .arg("-p")
            .arg(&self.folder)
            .arg("-c")
            .arg(&configuration)
            .arg("-e")
            .arg(self.folder.join("error.log"))
            .stdin(Stdio::null());
        let process = Process::start("nginx", &mut command)?;
        listening(SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Nginx { process, port, folder: self.folder })
    }

    fn configuration(&self, port: u16) -> String {
        let (ssl, tls) = match &self.tls {
            Some(Tls { server, key }) => (
                " ssl",
                format!(
                    "ssl_certificate {};\nssl_certificate_key {};\n\
                     ssl_protocols {};\nssl_session_cache off;",
                    server.display(),
                    key.display(),
                    self.protocols
                ),
            ),
            None => ("", String::new()),
        };
        let http2 = if self.speaks_http2 { " http2" } else { "" };
        // Root owns the folder, and a test must not need another user.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        format!(
            "daemon off;
{user}
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 12288; }}
http {{
    access_log off;
    default_type application/octet-stream;
    sendfile off;
    if_modified_since before;
    keepalive_timeout 300s;
    keepalive_requests 1000000;
    client_max_body_size 0;
    client_body_temp_path {folder}/temp/body;
    proxy_temp_path {folder}/temp/proxy;
    fastcgi_temp_path {folder}/temp/fastcgi;
    uwsgi_temp_path {folder}/temp/uwsgi;
    scgi_temp_path {folder}/temp/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port}{ssl}{http2} backlog=4096;
        listen [::1]:{port}{ssl}{http2};
        server_name localhost;
        {tls}
        {locations}
    }}
}}
",
            workers = self.workers,
            folder = self.folder.display(),
            http = self.http,
            locations = self.locations,
        )
    }
}
