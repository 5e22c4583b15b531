//! What the terminal hears: data on stdout, words on stderr.

use isobole::analysis::Stage;
use isobole::cli::{Color, Console};
use isobole::import::Imported;
use isobole::plate::{PlateQuality, Verdict};
use isobole::rank::RankedPair;
use isobole::report::run_json::RunRecord;
use isobole::report::terminal::ranking_text;
use isobole::resistance::Resistance;
use isobole::resistance::mechanism::{Mechanisms, Status};
use isobole::run::plain::PlainOutcome;
use isobole::screen::Screen;
use isobole::screen::line::LineStatus;
use isobole::screen::names::NameId;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Pairs of the ranking that are printed; all of them are in the table.
const PAIRS_PRINTED: usize = 20;
/// Columns of the terminal where it does not say.
const WIDTH: usize = 110;

/// Says as much as was asked for.
pub struct Talk {
    quiet: bool,
    verbose: bool,
    color: bool,
}

impl Talk {
    /// As the flags ask.
    pub fn new(console: &Console) -> Self {
        let color = match console.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        Self { quiet: console.quiet, verbose: console.verbose, color }
    }

    /// Data, on stdout. A closed pipe is the reader's choice, not a failure.
    pub fn data(&self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
    }

    /// Words, on stderr.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    fn marked(&self, mark: &str, code: &str, text: &str) {
        let mark = if self.color { format!("\x1b[{code}m{mark}\x1b[0m") } else { mark.to_owned() };
        let _ = writeln!(std::io::stderr(), "{mark} {text}");
    }

    /// An error and its hint; also when quiet.
    pub fn error(&self, error: &isobole::Error) {
        self.marked("error:", "1;31", &error.to_string());
        if let Some(hint) = error.hint() {
            self.marked("hint:", "1;36", hint);
        }
    }

    fn warning(&self, text: &str) {
        if !self.quiet {
            self.marked("warning:", "1;33", text);
        }
    }

    /// A stage begins.
    pub fn stage(&self, stage: Stage, detail: &str) {
        self.say(format!("{:10} {detail}", stage.name()).trim_end());
    }

    /// Where everything went.
    pub fn finished(&self, record: &RunRecord, out: &Path) {
        let counts = &record.counts;
        let reason = record.backend_reason.as_deref().unwrap_or_default();
        self.say(&format!("back end   {} ({}): {reason}", record.backend, record.device));
        self.say(&format!(
            "wells      {} in = {} used + {} rejected",
            counts.wells_in, counts.wells_used, counts.wells_rejected
        ));
        for (reason, n) in &counts.rejected_by_reason {
            self.say(&format!("           {n} {reason}"));
        }
        self.say(&format!(
            "found      {} plates, {} curves, {} matrices, {} pairs",
            counts.plates, counts.curves, counts.matrices, counts.pairs
        ));
        if let Some(share) = record.fits_refitted_share {
            self.say(&format!("certified  {:.2} % of the fits were polished in f64", 100.0 * share));
        }
        if self.verbose {
            for timing in &record.timings {
                self.say(&format!("time       {:10} {:8.3} s", timing.stage, timing.seconds));
            }
            if let Ok(settings) = serde_json::to_string_pretty(&record.settings) {
                self.say(&settings);
            }
        }
        for warning in &record.warnings {
            self.warning(warning);
        }
        self.say(&format!("results    {}", out.display()));
    }

    /// How many lines are resistant to the anchor.
    pub fn resistance(&self, resistances: &[Resistance], screen: &Screen, anchor: Option<NameId>) {
        let of_anchor: Vec<&Resistance> = resistances.iter().filter(|r| Some(r.drug) == anchor).collect();
        let Some(anchor) = anchor.filter(|_| !of_anchor.is_empty()) else { return };
        let count = |is: &dyn Fn(&Resistance) -> bool| of_anchor.iter().filter(|r| is(r)).count();
        let with = |status: LineStatus| count(&|r| r.status == Some(status));
        let kinds = [
            (with(LineStatus::Parental), "parental"),
            (with(LineStatus::Sensitive), "sensitive"),
            (with(LineStatus::Normal), "normal"),
            (count(&|r| r.status.is_none() && r.status_source == "uncertain"), "uncertain"),
            (count(&|r| r.status.is_none() && r.status_source != "uncertain"), "not told"),
        ];
        // A line is resistant to a drug, and parental by itself; that none is resistant is worth saying too.
        let resistant = format!("{} resistant to {}", with(LineStatus::Resistant), screen.drugs.name(anchor));
        let others = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{n} {kind}"));
        let told: Vec<String> = std::iter::once(resistant).chain(others).collect();
        self.say(&format!("lines      {}", told.join(", ")));
    }

    /// The ranking, on stdout.
    pub fn ranking(&self, pairs: &[RankedPair], screen: &Screen) {
        self.ranked(pairs, screen, PAIRS_PRINTED);
    }

    /// The same, of so many pairs.
    pub fn ranked(&self, pairs: &[RankedPair], screen: &Screen, limit: usize) {
        if pairs.is_empty() {
            self.say(
                "no drug pair was measured: nothing to rank; `resistance` and `cross_resistance` have the single drugs",
            );
            return;
        }
        let width = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(WIDTH);
        self.data(&ranking_text(pairs, screen, width, limit));
    }

    /// How many plates have which verdict, on stdout.
    pub fn plates(&self, plates: &[PlateQuality]) {
        let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
        for plate in plates {
            *verdicts.entry(Verdict::name(plate.verdict)).or_default() += 1;
        }
        for (verdict, n) in verdicts {
            self.data(&format!("{verdict:12} {n}"));
        }
    }

    /// What makes each line resistant, on stdout.
    pub fn mechanisms(&self, found: &Mechanisms) {
        let is_told = |status: Option<Status>| !matches!(status, Some(Status::NoEvidence | Status::Excluded));
        for call in found.calls.iter().filter(|call| is_told(call.status)) {
            let status = call.status.map_or("", Status::name);
            let reason = call.reason.map(|reason| format!(" ({})", reason.replace('_', " "))).unwrap_or_default();
            self.data(&format!("{:24} {:28} {status}{reason}", call.line, call.words));
        }
    }

    /// What came of an import: the files on stdout.
    pub fn imported(&self, imported: &Imported, files: &[PathBuf]) {
        self.say(&format!("wells      {} on {} plates", imported.wells(), imported.plates()));
        for (reason, n) in imported.rejected_by_reason() {
            self.say(&format!("rejected   {n} {reason}"));
        }
        for note in &imported.notes {
            self.say(&format!("note       {note}"));
        }
        for file in files {
            self.data(&file.display().to_string());
        }
    }

    /// What came of a plain table.
    pub fn plain(&self, outcome: &PlainOutcome, units: &str, failed: &str) {
        let PlainOutcome { rows_in, rows_used, rejected_by_reason, units: n, failed: n_failed, backend, notes, files } =
            outcome;
        let rejected: usize = rejected_by_reason.values().sum();
        self.say(&format!("back end   {backend}"));
        self.say(&format!("rows       {rows_in} in = {rows_used} used + {rejected} rejected"));
        for (reason, n) in rejected_by_reason {
            self.say(&format!("           {n} {reason}"));
        }
        self.say(&format!("found      {n} {units}; {n_failed} {failed}"));
        for note in notes {
            self.say(&format!("note       {note}"));
        }
        for file in files {
            self.data(&file.display().to_string());
        }
    }
}
