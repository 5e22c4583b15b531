//! The command: a table of contents. Results go to files and stdout, words to stderr.

mod archived;
mod console;

use clap::Parser;
use console::Talk;
use isobole::cli::{
    self, BenchArgs, Cli, Command, DemoArgs, ImportArgs, MechanismArgs, ModelsArgs, RunArgs, SimulateArgs,
};
use isobole::config::{ModelChoice, Settings};
use isobole::run::mechanism::run_mechanism;
use isobole::run::{Extent, Finished, on_threads, plain};
use isobole::simulate::{Beside, CurveRecipe, Recipe, Scale};
use isobole::simulate::{simulate, write, write_beside, write_curves, write_demo};
use isobole::{Result, backend, bench, import, model, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let talk = Talk::new(&cli.console);
    // Mesa's layer for choosing among a desktop's cards complains on stderr where there is no desktop.
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    // Damaged files can make the decoder panic: reading catches that and says what is wrong in its own words.
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !isobole::ingest::is_decoding() {
            default_hook(info);
        }
    }));
    match dispatch(cli.command, &talk) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            talk.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command, talk: &Talk) -> Result<()> {
    match command {
        Command::Demo(args) => demo(&args, talk),
        Command::Run(args) => pipeline(&args, Extent::Full, talk),
        Command::Qc(args) => pipeline(&args, Extent::Quality, talk),
        Command::Normalize(args) => pipeline(&args, Extent::Normalised, talk),
        Command::Fit(args) => {
            let (settings, mapping) = cli::resolve_fit(&args)?;
            let outcome = on_threads(settings.threads, || plain::fit(&settings, &mapping))?;
            talk.plain(&outcome, "curves", "could not be fitted");
            Ok(())
        }
        Command::Synergy(args) => {
            let (settings, mapping, drugs, singles) = cli::resolve_synergy(&args)?;
            let outcome =
                on_threads(settings.threads, || plain::synergy(&settings, &mapping, &drugs, singles.as_ref()))?;
            talk.plain(&outcome, "matrices", "lack a score of some model");
            Ok(())
        }
        Command::Mechanism(args) => mechanism(&args, talk),
        Command::Rescore(args) => archived::rescored(&args, talk),
        Command::Rank(args) => archived::ranked(&args, talk),
        Command::Report(args) => archived::reported(&args, talk),
        Command::Show(args) => archived::shown(&args, talk),
        Command::Diff(args) => archived::differed(&args, talk),
        Command::Verify(args) => archived::verified(&args, talk),
        Command::Import(args) => imported(&args, talk),
        Command::Simulate(args) => simulated(&args, talk),
        Command::Bench(args) => benchmark(&args, talk),
        Command::Models(args) => models(&args, talk),
        Command::Devices => {
            devices(talk);
            Ok(())
        }
    }
}

fn demo(args: &DemoArgs, talk: &Talk) -> Result<()> {
    let mut settings = cli::resolve_demo(args)?;
    let input = settings.out.join("input");
    write_demo(&input)?;
    settings.inputs = vec![input.join("plates.parquet")];
    settings.lines_file = Some(input.join("lines.csv"));
    run_and_tell(&settings, Extent::Full, "Demo screen: clofarabine-resistant leukaemia lines (simulated)", talk)
}

fn pipeline(args: &RunArgs, extent: Extent, talk: &Talk) -> Result<()> {
    let settings = cli::resolve(args)?;
    let name = args.inputs.first().and_then(|p| p.file_stem()).map(|s| s.to_string_lossy().into_owned());
    run_and_tell(&settings, extent, &name.unwrap_or_default(), talk)
}

fn run_and_tell(settings: &Settings, extent: Extent, title: &str, talk: &Talk) -> Result<()> {
    let finished = on_threads(settings.threads, || {
        run::run(settings, extent, title, &mut |stage, detail| talk.stage(stage, detail))
    })?;
    let Finished { screen, analysis, record, files: _ } = &finished;
    talk.finished(record, &settings.out);
    match extent {
        Extent::Full => {
            talk.resistance(&analysis.resistances, screen, analysis.anchor);
            talk.ranking(&analysis.pairs, screen);
        }
        Extent::Quality | Extent::Normalised => talk.plates(&analysis.plates),
    }
    Ok(())
}

fn mechanism(args: &MechanismArgs, talk: &Talk) -> Result<()> {
    let (found, files) = run_mechanism(&cli::resolve_mechanism(args))?;
    talk.mechanisms(&found);
    for file in files {
        talk.say(&format!("results    {}", file.display()));
    }
    Ok(())
}

fn imported(args: &ImportArgs, talk: &Talk) -> Result<()> {
    let Some(asked) = cli::resolve_import(args)? else {
        talk.data(&import::list());
        return Ok(());
    };
    let imported = import::import(asked.format, &asked.files, &asked.settings)?;
    let written = import::write(&imported, &asked.out, asked.format)?;
    talk.imported(&imported, &written);
    Ok(())
}

fn simulated(args: &SimulateArgs, talk: &Talk) -> Result<()> {
    let SimulateArgs { out, plates, lines, pairs, resistant, demo, curves, replicates, .. } = args;
    let SimulateArgs { evidence, apoptosis, schedules, seed, .. } = args;
    if let Some(curves) = *curves {
        let recipe = CurveRecipe { curves, replicates: *replicates, seed: *seed };
        let written = write_curves(&recipe, out)?;
        talk.say(&format!("{} wells of {curves} curves simulated", written.rows));
        for file in [written.curves, written.truth] {
            talk.data(&file.display().to_string());
        }
        return Ok(());
    }
    let default = Scale::default();
    let mut recipe = if *demo {
        Recipe::leukaemia_demo()
    } else {
        Recipe::generic(Scale {
            plates: plates.or(default.plates),
            lines: lines.or(default.lines),
            pairs: pairs.or(default.pairs),
            resistant: resistant.or(default.resistant),
            seed: *seed,
            ..default
        })?
    };
    recipe.add_schedules(*schedules)?;
    if *evidence && !*demo {
        recipe.vary_causes();
    }
    let written = write(&simulate(&recipe)?, out)?;
    let beside = write_beside(&recipe, Beside { evidence: *evidence, apoptosis: *apoptosis }, out)?;
    talk.say(&format!("{} wells simulated", written.wells));
    let beside = beside.into_iter().filter(|file| *file != written.lines);
    for file in [written.plates.clone(), written.lines.clone(), written.truth.clone()].into_iter().chain(beside) {
        talk.data(&file.display().to_string());
    }
    Ok(())
}

fn benchmark(args: &BenchArgs, talk: &Talk) -> Result<()> {
    let BenchArgs { curves, models: _, backend: _, chunk_check, synergy, json, seed, threads } = args;
    if let Some(matrices) = synergy {
        let report = on_threads(*threads, || bench::synergy::bench_synergy(*matrices, *seed))?;
        talk.data(&report.text());
        return json.as_ref().map_or(Ok(()), |path| report.write(path));
    }
    if *chunk_check {
        let different = on_threads(*threads, || bench::chunk_check(*curves, *seed))?;
        talk.data(&format!("{different} of {curves} fits differ between one call and chunks"));
        return if different == 0 {
            Ok(())
        } else {
            Err(isobole::Error::Gpu { problem: "chunks change results".into(), hint: None })
        };
    }
    let settings = cli::resolve_bench(args)?;
    let report = on_threads(*threads, || bench::bench(&settings))?;
    talk.data(&report.text());
    json.as_ref().map_or(Ok(()), |path| report.write(path))
}

fn models(args: &ModelsArgs, talk: &Talk) -> Result<()> {
    if let Some(file) = &args.check {
        talk.data(&run::check_model::check(file, &backend::cpu::Cpu)?.text());
        return Ok(());
    }
    let chosen = match &args.name {
        Some(name) => {
            let surface =
                model::ModelId::surfaces().into_iter().find(|surface| surface.name().eq_ignore_ascii_case(name));
            vec![surface.map_or_else(|| ModelChoice::named("models", name), Ok)?]
        }
        None => model::ModelId::ALL.iter().copied().chain(model::ModelId::surfaces()).collect(),
    };
    for model in chosen {
        talk.data(&model.describe());
    }
    Ok(())
}

fn devices(talk: &Talk) {
    talk.data(&format!("cpu  {}", backend::Backend::device(&backend::cpu::Cpu)));
    for adapter in backend::gpu::device::list() {
        let kind = if adapter.software { "software" } else { "hardware" };
        talk.data(&format!("gpu  {} ({}, {}, {kind})", adapter.name, adapter.api, adapter.driver));
    }
}
