//! What each model counts where we estimate a token: learned from what it reports.

use anyhow::Result;
use rusqlite::{OptionalExtension as _, params};

use super::{ReadTx, WriteTx};
use crate::platform::clock;

/// Estimates are right until a model has told otherwise.
pub const EVEN: u32 = 1000;
/// What a model reports beyond this is no ratio but a mistake, or a prompt that was cut off (which is
/// warned of below six tenths of the estimate).
const LEAST: i64 = 600;
const MOST: i64 = 2000;
/// A prompt shorter than this says more about what is sent around it than about the estimate.
const SAMPLE_TOKENS_MIN: u64 = 200;
/// So many reports the average remembers.
const MEMORY: i64 = 10;
/// So many models are remembered.
const MODELS_MAX: i64 = 100;

/// The tokens that `model` counts where we estimate 1,000; [`EVEN`] if it never said.
pub fn permille(tx: &ReadTx<'_>, model: &str) -> Result<u32> {
    let known = tx
        .sql()
        .prepare_cached("SELECT permille FROM token_ratios WHERE model = ?1")?
        .query_row([model], |row| row.get(0))
        .optional()?;
    Ok(known.unwrap_or(EVEN))
}

/// `estimate` as a model counts it whose ratio is `permille`, rounded up.
pub fn corrected(estimate: u64, permille: u32) -> u64 {
    estimate
        .saturating_mul(u64::from(permille))
        .div_ceil(u64::from(EVEN))
}

/// Notes, after a reply, that `model` counted `reported` tokens where we estimated `estimated`. Short prompts and
/// impossible figures teach nothing.
pub fn learn(tx: &WriteTx<'_>, model: &str, estimated: u64, reported: u64) -> Result<()> {
    if estimated < SAMPLE_TOKENS_MIN {
        return Ok(());
    }
    let sample = reported.saturating_mul(u64::from(EVEN)) / estimated;
    let Ok(sample @ LEAST..=MOST) = i64::try_from(sample) else {
        return Ok(());
    };
    let now = clock::wall_ms();
    tx.sql()
        .prepare_cached(
            "INSERT INTO token_ratios (model, permille, samples, updated_at)
             VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (model) DO UPDATE SET
                permille = (permille * min(samples, ?4) + excluded.permille)
                    / (min(samples, ?4) + 1),
                samples = samples + 1, updated_at = excluded.updated_at",
        )?
        .execute(params![model, sample, now, MEMORY - 1])?;
    tx.sql()
        .prepare_cached(
            "DELETE FROM token_ratios WHERE model IN (
                SELECT model FROM token_ratios ORDER BY updated_at DESC, model LIMIT -1 OFFSET ?1)",
        )?
        .execute([MODELS_MAX])?;
    Ok(())
}
