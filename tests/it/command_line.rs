//! What can be typed, and what becomes of it.

use clap::{CommandFactory, Parser};
use isobole::Result;
use isobole::cli::{Cli, Command, resolve, resolve_fit, resolve_synergy};
use isobole::config::{BackendChoice, Settings};
use isobole::model::ModelId;
use isobole::screen::well::Role;
use isobole::screen::{Orientation, Scale};
use isobole::synergy::SynergyModel;
use std::path::PathBuf;

fn run(args: &[&str]) -> Result<Settings> {
    let typed = [&["isobole", "run", "--out", "out"], args].concat();
    match Cli::try_parse_from(typed).map(|cli| cli.command) {
        Ok(Command::Run(args)) => resolve(&args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_is_sound_and_every_flag_is_documented() {
    let mut command = Cli::command();
    command.build();
    command.clone().debug_assert();
    for sub in command.get_subcommands() {
        for arg in sub.get_arguments() {
            assert!(arg.get_help().is_some(), "{} {} has no help", sub.get_name(), arg.get_id());
        }
    }
}

#[test]
fn wrong_usage_ends_with_status_2_and_names_the_nearest() {
    for (args, said) in [
        (&["isobole", "run", "x.parquet", "--out", "o", "--model", "hil4"][..], "hill4"),
        (&["isobole", "run", "x.parquet", "--out", "o", "--ancor", "x"], "--anchor"),
        (&["isobole", "run", "--out", "o"], "SCREEN.toml|PLATES.parquet"),
        (&["isobole", "run", "x.parquet"], "--out"),
        (&["isobole", "fit", "x.parquet", "--out", "o"], "--orientation"),
        (&["isobole", "normalise"], "normalize"),
        (&["isobole", "devices", "--quiet", "--verbose"], "--verbose"),
    ] {
        let error = Cli::try_parse_from(args).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{args:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// Help texts state the defaults in words; this keeps the words true.
#[test]
fn help_states_the_defaults_that_are_used() {
    let settings = run(&["x.parquet"]).unwrap();
    let mut command = Cli::command();
    let help = command.find_subcommand_mut("run").unwrap().render_long_help().to_string();
    let stated = |flag: &str| {
        let at = help.find(&format!("--{flag} ")).unwrap_or_else(|| panic!("no --{flag}"));
        let text: String = help[at..].split_whitespace().collect::<Vec<_>>().join(" ");
        text.split("[default: ").nth(1).unwrap().split([']', ',']).next().unwrap().to_owned()
    };
    assert_eq!(stated("backend"), settings.backend.name());
    assert_eq!(stated("model"), settings.model.name());
    assert_eq!(stated("starts"), settings.starts.to_string());
    assert_eq!(stated("vehicle-point"), settings.vehicle_point.to_string());
    assert_eq!(stated("rank-by"), settings.rank_by.name());
    assert_eq!(stated("margins"), "fitted");
    assert_eq!(stated("normalize"), settings.normalization.name());
    assert_eq!(stated("anchor"), settings.anchor);
    assert_eq!(stated("resistant-fold"), settings.resistant_fold.to_string());
    assert_eq!(stated("bootstrap"), settings.bootstrap.to_string());
    assert_eq!(stated("top-k"), settings.top_k.to_string());
    assert_eq!(stated("seed"), settings.seed.to_string());
    assert_eq!(stated("threads"), settings.threads.to_string());
}

#[test]
fn flags_reach_the_settings_and_win_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("screen.toml");
    let text = "plates = ['b*.parquet', 'a.parquet']\nseed = 3\nthreads = 2\nlines_file = 'l.csv'\n\
                [columns]\nwell = 'w'\n[roles]\nvehicle = 'NC-*'";
    std::fs::write(&toml, text).unwrap();
    for name in ["b2.parquet", "b1.parquet", "c.parquet"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let toml = toml.to_str().unwrap();
    let settings = run(&[toml]).unwrap();
    let named: Vec<_> = settings.inputs.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(named, ["b1.parquet", "b2.parquet", "a.parquet"]);
    assert_eq!(settings.inputs[0].parent(), Some(folder.path()));
    assert_eq!(settings.lines_file, Some(folder.path().join("l.csv")));

    let settings = run(&[
        toml,
        "mine.parquet",
        "--seed",
        "9",
        "--backend",
        "cpu",
        "--model",
        "hill3",
        "--synergy",
        "zip,hsa",
        "--rank-by",
        "hsa",
        "--bounds",
        "hill=0.5..2",
        "--column",
        "plate_id=plate,replicate",
        "--column",
        "role=",
        "--conc-unit",
        "nM",
        "--role",
        "positive=PC-*",
        "--role",
        "positive=KILL",
        "--none",
        "water",
        "--only",
        "time=72",
        "--molar-mass",
        "X=300",
        "--constant",
        "cell_line=TMD8",
        "--lines",
        "mine.csv",
        "--format",
        "csv",
        "--vehicle-point",
        "true",
        "--low-control",
        "blank",
        "--orientation",
        "inhibition",
        "--scale",
        "percent",
        "--normalize",
        "normalized-percent-inhibition",
        "--margins",
        "observed",
        "--anchor",
        "araC",
        "--bootstrap",
        "0",
        "--top-k",
        "5",
        "--resistant-fold",
        "5",
        "--starts",
        "1",
    ])
    .unwrap();
    assert_eq!(settings.inputs, [PathBuf::from("mine.parquet")]);
    assert_eq!((settings.seed, settings.threads, settings.starts), (9, 2, 1));
    assert_eq!((settings.backend, settings.model), (BackendChoice::Cpu, ModelId::Hill3));
    assert_eq!(
        (&settings.synergy[..], settings.score_model),
        (&[SynergyModel::Zip, SynergyModel::Hsa][..], SynergyModel::Hsa)
    );
    assert_eq!((settings.bounds[0].lower, settings.bounds[0].upper), (0.5, 2.0));
    assert_eq!((settings.bootstrap, settings.top_k, settings.resistant_fold), (0, 5, 5.0));
    assert!(settings.csv && settings.vehicle_point && settings.low_control_blank);
    assert_eq!((settings.anchor.as_str(), settings.lines_file), ("araC", Some("mine.csv".into())));
    let mapping = settings.mapping;
    assert_eq!(mapping.columns["plate_id"], ["plate", "replicate"]);
    assert_eq!((mapping.columns["well"].as_slice(), mapping.columns["role"].len()), (&["w".to_owned()][..], 0));
    assert_eq!(mapping.role("PC-1"), Ok(Some(Role::Positive)));
    assert_eq!(mapping.role("KILL"), Ok(Some(Role::Positive)));
    assert_eq!(mapping.role("NC-1"), Ok(Some(Role::Vehicle)));
    assert_eq!((mapping.units[2].as_deref(), mapping.none), (Some("nM"), vec!["water".to_owned()]));
    assert_eq!((mapping.only["time"].as_slice(), mapping.molar_mass["X"]), (&["72".to_owned()][..], 300.0));
    assert_eq!(mapping.constants["cell_line"], "TMD8");
    assert_eq!((mapping.orientation, mapping.scale), (Some(Orientation::Inhibition), Some(Scale::Percent)));
}

#[test]
fn what_cannot_be_resolved_is_named() {
    let message = |args: &[&str]| run(args).map(|_| ()).unwrap_err().to_string();
    assert_eq!(message(&["a.toml", "b.toml"]), "two screen files: `a.toml` and `b.toml`");
    assert!(message(&["gone.toml"]).starts_with("cannot read `gone.toml`: "));
    assert_eq!(message(&["x.parquet", "--column", "role"]), "setting `column`: `role` has no `NAME=` before its value");
    assert_eq!(
        message(&["x.parquet", "--role", "neg=NC"]),
        "setting `role`: unknown role `neg`, expected one of `sample`, `vehicle`, `positive`, `blank`, `empty`"
    );
    assert_eq!(
        message(&["x.parquet", "--molar-mass", "X=heavy"]),
        "setting `molar-mass`: `heavy` of `X` is not a number"
    );
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("screen.toml");
    std::fs::write(&toml, "plates = 'plate*.parquet'").unwrap();
    assert!(message(&[toml.to_str().unwrap()]).starts_with("setting `plates`: no file is named like `"));
    std::fs::write(&toml, "").unwrap();
    assert_eq!(message(&[toml.to_str().unwrap()]), "no plate files");
}

#[test]
fn plain_tables_are_named_by_flags() {
    let parse = |args: &[&str]| Cli::try_parse_from(args).unwrap().command;
    let Command::Fit(fit) = parse(&[
        "isobole",
        "fit",
        "c.parquet",
        "--out",
        "f.parquet",
        "--curve",
        "line,drug",
        "--dose",
        "conc",
        "--response",
        "v",
        "--dose-unit",
        "uM",
        "--orientation",
        "viability",
        "--scale",
        "percent",
    ]) else {
        panic!("not fit")
    };
    let (settings, mapping) = resolve_fit(&fit).unwrap();
    assert_eq!((settings.inputs, settings.out), (vec!["c.parquet".into()], "f.parquet".into()));
    assert_eq!((mapping.group, mapping.doses), (vec!["line".into(), "drug".into()], vec!["conc".into()]));
    assert_eq!((mapping.response.as_str(), mapping.scale), ("v", Scale::Percent));
    let Command::Synergy(synergy) =
        parse(&["isobole", "synergy", "m.parquet", "--out", "d", "--matrix", "a,a", "--orientation", "inhibition"])
    else {
        panic!("not synergy")
    };
    let error = resolve_synergy(&synergy).unwrap_err();
    assert_eq!(error.to_string(), "setting `matrix`: column `a` is named twice");
}
