//! nginx, as Debian ships it: a web server, a gate and a proxy that nobody here wrote.
//!
//! It comes by `make test-tools`. It is one process without a daemon, on a port that the system picked.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::http;
use super::program::{Program, tools};
use super::signal::ask_at_once;

/// How often a free port is looked for: between that and its use, somebody else may take it.
const STARTS: usize = 8;

/// An nginx with one server, whose files are in a folder of its own. Each request is a line: METHOD URI STATUS, the ratio
/// of its compression, and the name in the client's certificate (`-` where there is none).
pub(crate) struct Nginx {
    pub(crate) program: Program,
    dir: TempDir,
}

impl Nginx {
    /// Starts one. `http` are directives beside its server, `server` are those in it, and `files` stand in its folder
    /// before it starts; relative paths lead there. With `tls`, its port speaks it.
    pub(crate) fn start(http: &str, server: &str, tls: bool, files: &[(&str, &str)]) -> Self {
        let binary = tools().join("nginx/nginx");
        assert!(binary.exists(), "no {}: run `make test-tools`", binary.display());
        let dir = tempfile::Builder::new().prefix("doorbell-nginx-").tempdir().expect("a temporary folder");
        files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).expect("a file"));
        let start = || Self::start_anywhere(&binary, dir.path(), &|addr| config(addr, http, server, tls));
        let program = (0..STARTS).find_map(|_| start()).expect("nginx takes one of many free ports");
        Self { program, dir }
    }

    /// Starts one on a port that was free a moment ago, and says whether it is this one that answers there.
    fn start_anywhere(binary: &Path, dir: &Path, config: &dyn Fn(SocketAddr) -> String) -> Option<Program> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let addr = free.local_addr().expect("an address");
        fs::write(dir.join("nginx.conf"), config(addr)).expect("a config");
        drop(free);
        let mut command = Command::new(binary);
        command.arg("-p").arg(dir).args(["-c", "nginx.conf", "-e", "error.log"]).stdin(Stdio::null());
        let program = Program::start("nginx", command, addr);
        let answers = ask_at_once("nginx to answer, or to end", || {
            let asked = http::get(addr, "/are-you-it").is_ok();
            let told = program.told();
            let ended = told.iter().any(|line| line == "the end");
            (ended || asked && told.iter().any(|line| line.starts_with("GET /are-you-it"))).then_some(!ended)
        });
        answers.then_some(program)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.program.addr
    }

    /// Replaces a file that it serves, at once.
    pub(crate) fn serve(&self, name: &str, text: &str) {
        let new = self.dir.path().join("new");
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.dir.path().join(name)).expect("a file can be renamed");
    }

    /// How many requests there were whose line begins like this.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.program.told().iter().filter(|line| line.starts_with(start)).count()
    }

    /// Waits for so many requests more whose line begins like this.
    pub(crate) fn wait_for_more(&self, start: &str, more: usize) {
        let goal = self.count(start) + more;
        self.program.wait_until(start, |lines| lines.iter().filter(|line| line.starts_with(start)).count() >= goal);
    }
}

fn config(addr: SocketAddr, http: &str, server: &str, tls: bool) -> String {
    let tls = if tls { "ssl" } else { "" };
    format!(
        "daemon off; master_process off; pid nginx.pid;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
           log_format told '$request_method $request_uri $status $gzip_ratio $ssl_client_s_dn';\n\
           access_log /dev/stdout told;\n\
           client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;\n\
           default_type application/json;\n\
           {http}\n\
           server {{ listen {addr} {tls}; server_name localhost; root .; {server} }}\n\
         }}\n"
    )
}
