//! `ferrolite serve`: a folder of models behind HTTP. The line that says where is printed when the server is ready; what
//! happens then goes to stderr.

use super::Printed;
use super::args::ServeArgs;
use crate::error::Result;

#[cfg(feature = "serve")]
pub fn execute(args: &ServeArgs) -> Result<Printed> {
    use std::io::Write;

    use serde_json::json;

    use crate::serve::{Options, Server};

    let defaults = Options::default();
    let options = Options {
        address: args.http.clone(),
        tls: args.tls_cert.clone().zip(args.tls_key.clone()),
        body_bytes: usize::try_from(args.max_body).unwrap_or(usize::MAX),
        timeout: args.timeout,
        requests: args.max_requests as usize,
        sequences: args.max_sequences as usize,
        threads: args.threads.map_or(defaults.threads, |threads| threads as usize),
        poll: args.poll,
        grace: args.grace,
        public_key: args.public_key,
        ..defaults
    };
    // Where stderr is closed, nobody reads the log.
    let log = |line: &str| {
        let _ = writeln!(std::io::stderr().lock(), "{}", super::one_line(line));
    };
    let server = Server::start(&args.folder, &options, log)?;
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let address = format!("{scheme}://{}", server.address());
    let said = match args.json {
        true => {
            let models =
                server.models().iter().map(|(name, versions)| json!({ "name": name, "versions": versions }));
            let models: Vec<serde_json::Value> = models.collect();
            Printed::Json(json!({ "address": address, "models": models, "notes": [], "warnings": [] }))
        }
        false => Printed::Text(format!("serving {} at {address}", args.folder.display())),
    };
    // Who reads this line may send a signal at once.
    server.run_saying(|| super::print(said))?;
    Ok(Printed::Text(String::new()))
}

#[cfg(not(feature = "serve"))]
pub fn execute(_: &ServeArgs) -> Result<Printed> {
    Err(crate::error::Error::usage("this build of ferrolite has no `serve`")
        .help("install it with the feature `serve`, which is one of the default features"))
}
