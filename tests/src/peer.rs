//! Programs that talk to themselves when they are told to.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::Process;

/// A program that prints the port that it listens on, and for every line moves what it is for and says
/// `done`.
pub struct Peer {
    process: Process,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    port: u64,
}

impl Peer {
    /// Starts it, and waits until it listens.
    pub fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start("peer", &mut command)?;
        let stdin = process.stdin().context("standard input")?;
        let mut stdout = BufReader::new(process.stdout().context("standard output")?);
        let mut port = String::new();
        stdout.read_line(&mut port)?;
        let port = port.trim().parse().context("a port")?;
        Ok(Self { process, stdin, stdout, port })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// That it listens on.
    pub fn port(&self) -> u64 {
        self.port
    }

    /// Has it move what it is for.
    pub fn transfer(&mut self) -> Result<()> {
        self.stdin.write_all(b"go\n")?;
        let mut said = String::new();
        self.stdout.read_line(&mut said)?;
        ensure!(said == "done\n", "{said:?}");
        Ok(())
    }
}
