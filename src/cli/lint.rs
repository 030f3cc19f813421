//! The flags of `lint`, and those that decide on the exit code by what was found.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Color;
use super::read::{SelectionFlags, SourceFlags};

/// Text after its help.
pub const EXAMPLES: &str = "\
A FILE is what `imapscope read` takes: a recording, a transcript, a raw log, a
capture, or - for standard input. Each file is judged by itself; the parts of one
recording (FILE, FILE.1, ...) in a row are one file.

A finding has an id (`imapscope lint --list`, `imapscope explain ID`), and one of
three severities: must (a rule with MUST, or the grammar, is broken), should (a
rule with SHOULD), quirk (legal, and known to break peers). Findings that are the
same but for tags, numbers and names are one, with a count and the first places.
One that follows from another is shown under it, and does not count.

Examples:
  imapscope lint session.imapscope
      what broke a rule, who did it, why it matters, and what to do
  imapscope lint *.pcap --deny should --allow bare-lf
      exit code 3 also for a SHOULD; bare-lf is shown and does not count
  imapscope lint log.txt --format sarif > lint.sarif
      for code scanning; --format junit for the table of a CI
  imapscope lint log.txt --write-baseline known.json
  imapscope lint log.txt --baseline known.json
      what is wrong today is known; what is new is not
  imapscope lint mail.pcap -f 'command == FETCH' --conn 2
      only the findings in these lines
  imapscope lint --list --format json
      all checks, an object of JSON a line

Exit codes: 0 nothing that is denied, 1 a file cannot be read, or not all of it (the
others are judged all the same), 2 a wrong command line, 3 a finding that is denied.
1 goes before 3.";

/// Flags of `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// Recordings, captures, transcripts, or raw logs of Dovecot's; - is standard input
    #[arg(required_unless_present_any = ["list", "json_schema"], value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print all checks, with severity, culprit and protocols; with --format json an object a line
    #[arg(long, conflicts_with_all = ["files", "conn", "side", "since", "until", "filter", "deny", "allow", "baseline", "write_baseline"])]
    pub list: bool,
    /// The form of the report
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// Print the JSON Schema of --format json, which says what each field means
    #[arg(long, conflicts_with_all = ["files", "list"])]
    pub json_schema: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Flags for the files.
    #[command(flatten)]
    pub source: SourceFlags,
    /// Flags for the exit code.
    #[command(flatten)]
    pub gate: GateFlags,
    /// Write all findings to a baseline: JSON, a finding a line
    #[arg(long, value_name = "FILE", help_heading = "Exit code")]
    pub write_baseline: Option<PathBuf>,
    /// Flags for what of the files is judged.
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// Only findings in what matches, such as 'command == FETCH' (`imapscope explain filter`)
    #[arg(short, long, value_name = "CONDITION", help_heading = "Selection")]
    pub filter: Option<String>,
}

/// Flags for the exit code.
#[derive(Debug, Clone, Args, Default)]
#[command(next_help_heading = "Exit code")]
pub struct GateFlags {
    /// Exit with 3 if this is found: a severity (must, should, quirk) with all that is worse, ids of checks, or none;
    /// repeatable [default of lint: must; without it proxy and read do not judge]
    #[arg(long, value_name = "SEVERITY|ID,...", value_delimiter = ',')]
    pub deny: Vec<String>,
    /// Checks that do not count; what they find is shown, and marked
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// A file of --write-baseline: what it has is marked as known, and does not count
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
}

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Text,
    /// One object of JSON
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for the test report of a CI
    Junit,
}
