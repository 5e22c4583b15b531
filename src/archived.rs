//! The commands that begin with a result folder.

use crate::console::Talk;
use isobole::archive::Archive;
use isobole::cli::{DiffArgs, RankArgs, ReportArgs, RescoreArgs, ShowArgs, VerifyArgs};
use isobole::diff::{diff, text, write_page, write_tables};
use isobole::report::files;
use isobole::report::pair_text::pair_text;
use isobole::run::compare::compare_models;
use isobole::run::on_threads;
use isobole::run::rescore::{Rescored, analyse_archive, places, rescore, rewrite_report};
use isobole::run::verify::{Scope, Verdict, verify};
use isobole::{Error, Result};

/// `isobole rescore`.
pub fn rescored(args: &RescoreArgs, talk: &Talk) -> Result<()> {
    let RescoreArgs { archives, out, compare, knowledge, analysis } = args;
    let mut said = analysis.clone().said()?;
    said.knowledge.folder.clone_from(knowledge);
    if *compare {
        for (archive, place) in archives.iter().zip(places(archives, out)?) {
            let compared = on_threads(said.threads.unwrap_or(0), || {
                compare_models(archive, &said, &place, &mut |stage, detail| talk.stage(stage, detail))
            })?;
            talk.data(&compared.text());
            talk.say(&format!("results    {}", place.display()));
        }
        return Ok(());
    }
    for (archive, place) in archives.iter().zip(places(archives, out)?) {
        let said = said.clone();
        let threads = said.threads.unwrap_or(0);
        let Rescored { finished, kept: _, seconds: (before, now) } =
            on_threads(threads, || rescore(archive, said, &place, &mut |stage, detail| talk.stage(stage, detail)))?;
        talk.finished(&finished.record, &place);
        if let Some(from) = &finished.record.rescored_from {
            let reused = if from.reused.is_empty() { "nothing".into() } else { from.reused.join(", ") };
            talk.say(&format!("reused     {reused}: {:.1} s saved", from.seconds_saved));
            if !from.drawn_anew.is_empty() {
                let models = from.drawn_anew.join(", ");
                talk.say(&format!("drawn anew {models}: the archive keeps their draws without degrees of freedom"));
            }
            talk.say(&format!("time       {now:.1} s; the archive had taken {before:.1} s"));
        }
        talk.ranking(&finished.analysis.pairs, &finished.screen);
    }
    Ok(())
}

/// `isobole rank`.
pub fn ranked(args: &RankArgs, talk: &Talk) -> Result<()> {
    let said = args.said()?;
    let observe = &mut |stage, detail: &str| talk.stage(stage, detail);
    let (pairs, screen) = match &args.out {
        Some(out) => {
            let finished = rescore(&args.archive, said, out, observe)?.finished;
            talk.finished(&finished.record, out);
            (finished.analysis.pairs, finished.screen)
        }
        None => {
            let archive = Archive::open(&args.archive)?;
            let settings = archive.settings.said_anew(said, args.archive.clone())?;
            let (screen, analysis, _) = analyse_archive(&archive, &settings, archive.backend()?.as_ref(), observe)?;
            (analysis.pairs, screen)
        }
    };
    talk.ranked(&pairs, &screen, if args.pairs == 0 { usize::MAX } else { args.pairs });
    Ok(())
}

/// `isobole report`.
pub fn reported(args: &ReportArgs, talk: &Talk) -> Result<()> {
    for file in rewrite_report(&args.archive, &mut |stage, detail| talk.stage(stage, detail))? {
        talk.data(&file.display().to_string());
    }
    Ok(())
}

/// `isobole show`.
pub fn shown(args: &ShowArgs, talk: &Talk) -> Result<()> {
    let ShowArgs { archive, pair, line, model } = args;
    talk.data(&pair_text(archive, pair, line.as_deref(), model.as_deref())?);
    Ok(())
}

/// `isobole diff`.
pub fn differed(args: &DiffArgs, talk: &Talk) -> Result<()> {
    let DiffArgs { before, after, out, pairs } = args;
    let difference = diff(before, after)?;
    talk.data(&text(&difference, *pairs));
    if let Some(out) = out {
        files::prepare(out)?;
        for file in write_tables(&difference, out)?.into_iter().chain([write_page(&difference, out)?]) {
            talk.say(&format!("written    {}", file.display()));
        }
    }
    Ok(())
}

/// `isobole verify`: fails where anything differs.
pub fn verified(args: &VerifyArgs, talk: &Talk) -> Result<()> {
    let VerifyArgs { archive, sample, all, backend, threads } = args;
    let scope = if *all { Scope::All } else { Scope::Sample(*sample) };
    let found =
        on_threads(*threads, || verify(archive, scope, *backend, &mut |stage, detail| talk.stage(stage, detail)))?;
    for one in &found.checked {
        let word = match one.verdict {
            Verdict::Agrees => "agrees ",
            Verdict::Differs => "DIFFERS",
            Verdict::NotChecked => "SKIPPED",
        };
        talk.data(&format!("{word}  {:24}  {}", one.what, one.detail));
    }
    for note in &found.notes {
        talk.say(&format!("note       {note}"));
    }
    let skipped = found.with(Verdict::NotChecked);
    if !skipped.is_empty() {
        talk.say(&format!(
            "note       not checked: {}; the lines that begin with SKIPPED say why",
            named_once(&skipped)
        ));
    }
    let differing = found.with(Verdict::Differs);
    if differing.is_empty() {
        return Ok(());
    }
    let problem = format!("`{}` is not what it was: {}", archive.display(), named_once(&differing));
    let hint = Some("each line above that begins with DIFFERS says where".into());
    Err(Error::Screen { problem, hint })
}

/// Names with commas, each once.
fn named_once(names: &[&str]) -> String {
    let mut once: Vec<&str> = Vec::new();
    names.iter().for_each(|name| {
        if !once.contains(name) {
            once.push(name);
        }
    });
    once.join(", ")
}
