//! Entry point: parse, dispatch, print the error chain once. No behaviour of a subcommand may live here.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use signalbox::cli::{Cli, Command};
use signalbox::env::{EXIT_USAGE, InvalidSetting};

fn main() -> ExitCode {
    // Environment beats `.env` beats defaults: dotenvy never overwrites what is set.
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        eprintln!("signalbox: .env cannot be read: {error}");
        return ExitCode::from(EXIT_USAGE);
    }
    let command = Cli::parse().command;
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(command)));
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("signalbox: {error:#}");
            let usage = error.chain().any(|cause| cause.is::<InvalidSetting>());
            if usage { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        #[cfg(all(feature = "app", feature = "load", feature = "console"))]
        Command::Up(args) => signalbox::up::run(args).await,
        #[cfg(feature = "app")]
        Command::App(args) => signalbox::app::run(args).await,
        #[cfg(feature = "load")]
        Command::Load(args) => signalbox::load::run(args).await,
        #[cfg(feature = "console")]
        Command::Console(args) => signalbox::console::run(args).await,
        #[cfg(feature = "console")]
        Command::Verify(args) => signalbox::verify::run(args).await,
        #[cfg(feature = "dashboards")]
        Command::Dashboards(args) => signalbox::dashboards::run(&args),
        Command::Probe(args) => signalbox::probe::run(args).await,
        Command::Doctor(args) => signalbox::doctor::run(args).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "signalbox", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}
