//! `fiscwatch state lake`

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;

use super::ConfigArg;
use crate::{
    access::Action,
    clock::{Clock, SystemClock},
    event::{TimeDelta, duration},
    replica::{self, Bucket},
    say,
};

#[derive(Debug, Args)]
pub(crate) struct LakeArgs {
    /// Where the table is, `s3://bucket/lake` or `file:///srv/lake`; not where the state is replicated to
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    config: ConfigArg,
    /// How long files stay that no newer manifest names: longer than any reader takes
    #[arg(long, value_name = "TIME", default_value = "7d")]
    keep: String,
    /// JSON instead of a sentence
    #[arg(long)]
    json: bool,
}

pub(crate) fn lake(args: &LakeArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::BackUpState)?;
    let keep = duration(&args.keep).map_err(|why| anyhow!("--keep: {why}"))?;
    let settings = config.replica_at(&args.to).map_err(|why| anyhow!(why))?;
    let bucket = Bucket::open(&settings.place)?;
    let keep = TimeDelta::of(keep);
    let published = replica::publish(&bucket, &config.state_dir, SystemClock.now(), keep)?;
    if args.json {
        println!("{}", serde_json::to_string(&published)?);
        return Ok(ExitCode::SUCCESS);
    }
    let replica::LakePublication { manifest, files, rows, new, bytes, deleted } = published;
    println!(
        "{}",
        say!(
            "{manifest}: {rows} events in {files} files; {new} of them are new ({bytes} bytes), {deleted} objects that nobody needs any more were deleted.",
            manifest,
            rows,
            files,
            new,
            bytes,
            deleted
        )
    );
    Ok(ExitCode::SUCCESS)
}
