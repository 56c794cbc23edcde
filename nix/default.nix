# isopod as a Nix package: `nix-build nix/`, or `nix build -f nix/`.
#
# The derivation is the same for everybody; what it is built with is an argument. By default that is a nixpkgs pinned
# by hash. scripts/nix, which tests this file, gives it the toolchain of the machine.
{
  pkgs ? import (fetchTarball {
    url = "https://github.com/NixOS/nixpkgs/archive/643809054d65fdd466a63e3155b8c498cb483c04.tar.gz";
    sha256 = "sha256-vUfIeBEfpbAfZ5zjgIkYk7eHBeVfCYVjLbWnMkseYnk=";
  }) { system = "x86_64-linux"; },

  # Directories with a bin/ each: bash, coreutils, a C compiler to link with, go-md2man, and a Rust that has the
  # standard library of the machine, for procedural macros, and `core` of the target.
  tools ? [
    pkgs.bash
    pkgs.coreutils
    pkgs.stdenv.cc
    pkgs.go-md2man
    pkgs.cargo
    pkgs.pkgsCross.musl64.buildPackages.rustc
  ],

  # A directory with the source of each package in Cargo.lock.
  crates ? pkgs.rustPlatform.importCargoLock { lockFile = ../Cargo.lock; },

  target ? "x86_64-unknown-linux-musl",

  # What `isopod --version` calls the commit.
  commit ? "unknown",
}:

let
  version = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).package.version;

  # What the result depends on, so that nothing else makes a new build of it.
  parts = [
    "Cargo.lock"
    "Cargo.toml"
    "LICENSE-APACHE"
    "LICENSE-MIT"
    "build.rs"
    "docs"
    "docs/isopod.1.md"
    "scripts"
    "scripts/release.d"
    "scripts/release.d/build"
    "src"
  ];
  root = toString ../. + "/";
  isPart =
    path: _:
    let
      name = builtins.substring (builtins.stringLength root) (-1) path;
    in
    builtins.elem name parts || builtins.substring 0 4 name == "src/";
in
derivation {
  name = "isopod-${version}";
  system = "x86_64-linux";
  src = builtins.path {
    path = ../.;
    name = "isopod-source";
    filter = isPart;
  };
  inherit crates target commit;

  # The shell of the first tool.
  builder = "${builtins.head tools}/bin/bash";
  args = [ ./builder.sh ];
  PATH = builtins.concatStringsSep ":" (map (tool: "${tool}/bin") tools);
}
