//! placeholder
use super::super::exit::ExitCode;
use super::super::session::Cli;
use super::args::Locks;
use anyhow::Result;
use std::path::Path;
pub(super) fn timeline(_cli: &Cli, _file: &Path, _args: &Locks) -> Result<ExitCode> {
    Ok(ExitCode::Failed)
}
