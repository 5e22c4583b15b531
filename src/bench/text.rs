//! The figures of a bench as plain tables for the terminal.

use super::BenchReport;
use super::agreement::CLOSE;
use std::fmt::Write;

impl BenchReport {
    /// Plain tables for the terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        let BenchReport { version, curves, identifiable, doses, replicates, rounds, threads, .. } = self;
        writeln!(
            text,
            "isobole {version}: {curves} curves ({identifiable} identifiable) of {doses} doses x {replicates} wells, collapsed beforehand in {:.1} ms",
            1e3 * self.collapse_seconds
        )?;
        writeln!(text, "median of {rounds} interleaved rounds, {threads} threads, {}", self.instruction_set)?;
        if let Some(adapter) = &self.adapter {
            let software = if adapter.software { ", software on the CPU" } else { "" };
            writeln!(text, "GPU: {} ({}, {}{software})", adapter.name, adapter.api, adapter.driver)?;
        }
        writeln!(
            text,
            "\n{:14} {:8} {:>12} {:>10} {:>7} {:>9} {:>14}",
            "model", "back end", "fits/second", "converged", "failed", "polished", "identifiable"
        )?;
        for s in &self.speeds {
            writeln!(
                text,
                "{:14} {:8} {:>12.0} {:>9.2}% {:>7} {:>8.2}% {:>13.2}%",
                s.model,
                s.backend,
                s.fits_per_second,
                100.0 * s.converged,
                s.failed,
                100.0 * s.polished,
                100.0 * s.polished_identifiable
            )?;
        }
        if self.speeds.iter().any(|s| s.phases.is_some()) {
            writeln!(
                text,
                "\n{:14} {:>9} {:>7} {:>9} {:>9}   {:>12} {:>10}",
                "GPU time", "prepare", "pack", "device", "certify", "bytes a fit", "back"
            )?;
        }
        for (s, phases) in self.speeds.iter().filter_map(|s| s.phases.map(|phases| (s, phases))) {
            let total = phases.total_seconds().max(f64::MIN_POSITIVE);
            let share = |seconds: f64| 100.0 * seconds / total;
            let bytes = |bytes: u64| bytes as f64 / (*curves).max(1) as f64;
            writeln!(
                text,
                "{:14} {:>8.1}% {:>6.1}% {:>8.1}% {:>8.1}%   {:>12.0} {:>10.0}",
                s.model,
                share(phases.prepare_seconds),
                share(phases.pack_seconds),
                share(phases.device_seconds),
                share(phases.certify_seconds),
                bytes(phases.bytes_up),
                bytes(phases.bytes_down)
            )?;
        }
        if !self.agreements.is_empty() {
            writeln!(
                text,
                "\n{:14} {:>9} {:>12} {:>12} {:>12} {:>14} {:>12}",
                "GPU and CPU",
                "compared",
                format!("> {CLOSE} SE"),
                "median SE",
                "largest SE",
                "SSE, relative",
                "all curves"
            )?;
        }
        for a in &self.agreements {
            writeln!(
                text,
                "{:14} {:>9} {:>11.3}% {:>12.1e} {:>12.1e} {:>14.1e} {:>12.1e}",
                a.model,
                a.compared,
                100.0 * a.apart,
                a.median_shift,
                a.largest_shift,
                a.largest_sse_difference,
                a.largest_sse_difference_all
            )?;
            if a.fitted_by_one > 0 {
                writeln!(text, "{:14} {} curves were fitted by one of the two only", "", a.fitted_by_one)?;
            }
        }
        if let Some(missing) = &self.missing {
            writeln!(text, "\nno GPU was compared: {missing}")?;
        }
        Ok(())
    }
}
