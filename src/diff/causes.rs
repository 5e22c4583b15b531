//! What was done otherwise: settings by the stage that they touch, inputs, versions, back ends.

use crate::analysis::Stage;
use crate::report::run_json::RunRecord;
use serde_json::Value;
use std::collections::BTreeMap;

/// One thing that was done otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// The first stage that it touches.
    pub stage: Stage,
    /// `settings`, `inputs`, `version` or `back end`.
    pub kind: &'static str,
    /// In words: `model: hill4 to hill3`.
    pub detail: String,
}

/// Longest text of a value in words.
const SHOWN: usize = 60;

/// The first stage that a setting touches; `None` for one that changes no result.
fn stage_of(key: &str) -> Option<Stage> {
    Some(match key {
        "inputs" | "lines_file" | "out" | "threads" | "csv" | "loss" | "weights" | "model_set" => return None,
        "normalization" | "spatial" | "across_plates" | "force_b_score" | "low_control_blank" => Stage::Plates,
        "vehicle_point" | "anchor" => Stage::Gather,
        "model" | "bounds" | "ci" | "starts" => Stage::Curves,
        "synergy" | "combination_index" | "dose_limits" | "margins" => Stage::Synergy,
        "bootstrap" | "resampling" | "seed" => Stage::Intervals,
        "evidence_files" | "apoptosis_files" | "knowledge_folder" => return None,
        "rank_by" | "score_model" | "rank_weights" | "rank_gates" | "top_k" | "resistant_fold" => Stage::Rank,
        // What columns mean, and what a later version has that this one does not know.
        _ => Stage::Read,
    })
}

/// What differs between two records, in the order of the stages.
pub fn causes(before: &RunRecord, after: &RunRecord) -> Vec<Cause> {
    let mut causes = Vec::new();
    if before.version != after.version {
        let detail = format!("isobole {} to {}", before.version, after.version);
        causes.push(Cause { stage: Stage::Read, kind: "version", detail });
    }
    // Programs of one version may write two layouts; tables of an older one may have been computed otherwise.
    let is_other_layout = before.schema_version != after.schema_version;
    if is_other_layout {
        let detail = format!("layout version {} to {}", before.schema_version, after.schema_version);
        causes.push(Cause { stage: Stage::Read, kind: "version", detail });
    }
    let hashes = |record: &RunRecord| record.inputs.iter().map(|input| input.sha256.clone()).collect::<Vec<_>>();
    let (old, new) = (hashes(before), hashes(after));
    let name = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
    for input in after.inputs.iter().filter(|input| !old.contains(&input.sha256)) {
        let was = before.inputs.iter().find(|other| name(&other.path) == name(&input.path));
        let what = if was.is_some() { "has other contents" } else { "is new" };
        causes.push(Cause { stage: Stage::Read, kind: "inputs", detail: format!("`{}` {what}", name(&input.path)) });
    }
    for input in before.inputs.iter().filter(|input| !new.contains(&input.sha256)) {
        if !after.inputs.iter().any(|other| name(&other.path) == name(&input.path)) {
            let detail = format!("`{}` is gone", name(&input.path));
            causes.push(Cause { stage: Stage::Read, kind: "inputs", detail });
        }
    }
    if before.backend != after.backend {
        let detail = format!("{} to {}", before.backend, after.backend);
        causes.push(Cause { stage: Stage::Plates, kind: "back end", detail });
    }
    let empty = serde_json::Map::new();
    let map = |record: &RunRecord| record.settings.as_object().cloned().unwrap_or_else(|| empty.clone());
    let (old, new) = (map(before), map(after));
    // What one of the programs did not know yet is no change of anybody's; it is said once.
    for (known, other, record) in [(&old, &new, before), (&new, &old, after)] {
        let is_unknown = |key: &&str| !known.contains_key(*key) && stage_of(key).is_some();
        let mut unknown: Vec<&str> = other.keys().map(String::as_str).filter(is_unknown).collect();
        unknown.sort_unstable();
        if !unknown.is_empty() {
            let who = match is_other_layout {
                true => format!("layout version {}", record.schema_version),
                false => format!("isobole {}", record.version),
            };
            let detail = format!("{who} did not record: {}", unknown.join(", "));
            causes.push(Cause { stage: Stage::Read, kind: "version", detail });
        }
    }
    let both: BTreeMap<&String, (&Value, &Value)> =
        old.iter().filter_map(|(key, old)| Some((key, (old, new.get(key)?)))).collect();
    for (key, (old, new)) in both {
        // A choice of back end that came to the same one is no difference.
        let Some(stage) = stage_of(key).filter(|_| old != new && key != "backend") else { continue };
        let detail = format!("{key}: {} to {}", shown(old), shown(new));
        causes.push(Cause { stage, kind: "settings", detail });
    }
    causes.sort_by_key(|cause| cause.stage as usize);
    causes
}

/// A setting in words; a model from a file by its name.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(","),
        Value::Object(map) if map.contains_key("file") => {
            let name = map.get("name").and_then(Value::as_str).unwrap_or_default();
            let text = map.get("file").and_then(Value::as_str).unwrap_or_default();
            let formula = text.lines().find(|line| line.trim_start().starts_with("formula")).unwrap_or_default();
            format!("{name} ({})", formula.trim())
        }
        other => other.to_string(),
    };
    crate::report::quantity::clip(if text.is_empty() { "none" } else { &text }, SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(settings: Value, inputs: &[(&str, &str)]) -> RunRecord {
        let mut record = RunRecord::new(settings, "cpu", "a processor", 1);
        record.inputs = inputs
            .iter()
            .map(|(path, hash)| crate::report::run_json::InputFile {
                path: (*path).into(),
                bytes: 1,
                sha256: (*hash).into(),
            })
            .collect();
        record
    }

    #[test]
    fn what_a_version_did_not_record_is_said_once() {
        let mut before = record(json!({"model": "hill4", "rank_by": "bliss", "threads": 0}), &[]);
        before.schema_version = "1".into();
        let after = record(
            json!({"model": "hill4", "rank_by": "zip", "score_model": "zip", "ci": "wald", "csv": false, "top_k": 3}),
            &[],
        );
        let said = |a: &RunRecord, b: &RunRecord| causes(a, b).into_iter().map(|c| c.detail).collect::<Vec<_>>();
        let now = &after.schema_version;
        let once = "layout version 1 did not record: ci, score_model, top_k";
        assert_eq!(said(&before, &after), [&format!("layout version 1 to {now}"), once, "rank_by: bliss to zip"]);
        assert_eq!(said(&after, &before), [&format!("layout version {now} to 1"), once, "rank_by: zip to bliss"]);
        // Another program of the same layout.
        before.schema_version.clone_from(now);
        before.version = "0.0.9".into();
        let version = format!("isobole 0.0.9 to {}", after.version);
        let once = "isobole 0.0.9 did not record: ci, score_model, top_k";
        assert_eq!(said(&before, &after), [version.as_str(), once, "rank_by: bliss to zip"]);
    }

    #[test]
    fn settings_inputs_and_versions_are_put_to_their_stages() {
        let before = record(
            json!({"model": "hill4", "top_k": 10, "threads": 0, "synergy": ["hsa"], "backend": "auto"}),
            &[("a/x.parquet", "1"), ("y.parquet", "2")],
        );
        let mut after = record(
            json!({"model": {"name": "mine", "file": "name = 'mine'\nformula = 'a'\n"}, "top_k": 5, "threads": 4,
                "synergy": ["hsa", "zip"], "backend": "cpu"}),
            &[("b/x.parquet", "3"), ("y.parquet", "2")],
        );
        after.version = "9.9.9".into();
        let found = causes(&before, &after);
        let said: Vec<String> =
            found.iter().map(|cause| format!("{} {} {}", cause.stage.name(), cause.kind, cause.detail)).collect();
        let version = format!("read version isobole {} to 9.9.9", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            said,
            [
                version.as_str(),
                "read inputs `x.parquet` has other contents",
                "curves settings model: hill4 to mine (formula = 'a')",
                "synergy settings synergy: hsa to hsa,zip",
                "rank settings top_k: 10 to 5",
            ]
        );
        assert_eq!(causes(&before, &before), []);
    }
}
