//! `spark`: describe, run, train and look at spiking neural networks from the command line.
#![recursion_limit = "256"] // The kernel compiler of the GPU backends nests its types deeply.

mod commands;
mod output;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

use commands::{
    bench, check, convert, devices, diff, eval, export, import, inspect, list, new, plot, predict, record,
    report, run, runs, schema, show, train, watch,
};

#[global_allocator]
static ALLOCATOR: spark::memory::Allocator = spark::memory::Allocator;

/// Spark: a spiking-neural-network toolkit.
#[derive(Parser)]
#[command(name = "spark", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(new::Args),
    Check(check::Args),
    Run(Box<run::Args>),
    Record(record::Args),
    Diff(diff::Args),
    Convert(convert::Args),
    Schema(schema::Args),
    Train(Box<train::Args>),
    Eval(eval::Args),
    Predict(predict::Args),
    Plot(plot::Args),
    Report(report::Args),
    Import(Box<import::Args>),
    Export(export::Args),
    Inspect(inspect::Args),
    Runs(runs::Args),
    Show(show::Args),
    Watch(watch::Args),
    List(list::Args),
    Devices(devices::Args),
    Bench(bench::Args),
}

fn main() -> ExitCode {
    spark::memory::keep_pages();
    let filter = tracing_subscriber::EnvFilter::try_from_env("SPARK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let result = match Cli::parse().command {
        Command::New(args) => new::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Diff(args) => Ok(diff::run(&args)),
        Command::Convert(args) => convert::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Plot(args) => plot::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::List(args) => list::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(code) => code,
        // The reader of our output has left, as `head` does; there is nobody to tell.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
