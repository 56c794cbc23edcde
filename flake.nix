{
  description = "isopod, an OCI container runtime: one small static binary without libc";

  # The same nixpkgs as in nix/default.nix.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/643809054d65fdd466a63e3155b8c498cb483c04";

  outputs =
    { self, nixpkgs }:
    {
      packages.x86_64-linux.default = import ./nix {
        pkgs = nixpkgs.legacyPackages.x86_64-linux;
        commit = self.rev or "unknown";
      };
    };
}
