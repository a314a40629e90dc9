//! The part of a Rust module that refuses builds with the kernels of another core.

use ferrolite_runtime::Target;

/// Lines that refuse a build whose kernels are not the target's; none for a model that is packed for no core.
pub(super) fn kernel_check(target: Target) -> String {
    let cpu = |core: &str| {
        format!(
            "build for `--target thumbv8m.main-none-eabihf` (or `-eabi`) and add `-C target-cpu={core}` to the compiler's flags"
        )
    };
    let build_for = |target: &str| format!("build for `--target {target}`");
    let cure = match target {
        Target::Portable => return String::new(),
        Target::CortexM0 => build_for("thumbv6m-none-eabi"),
        Target::CortexM3 => build_for("thumbv7m-none-eabi"),
        Target::CortexM4 | Target::CortexM7 => {
            "build for `--target thumbv7em-none-eabihf` (or `-eabi`)".into()
        }
        Target::CortexM33 => cpu("cortex-m33"),
        Target::CortexM55 => cpu("cortex-m55"),
        Target::RiscV32 => build_for("riscv32imac-unknown-none-elf"),
        Target::Host => "run it on a PC".into(),
    };
    format!(
        "// Other kernels would give the same bytes, several times slower.\n\
         const _: () = assert!(\n\
         \x20   ferrolite_runtime::accepts(ferrolite_runtime::Target::{target:?}),\n\
         \x20   \"the model is packed for {name}, and this build has the kernels of another core: {cure}; or convert \\\n\
         \x20    it with `--target` for this core; the feature `foreign-kernels` of ferrolite-runtime allows it, slow as it is\"\n\
         );\n\n",
        name = target.name(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_with_other_kernels_is_told_the_flag() {
        assert_eq!(kernel_check(Target::Portable), "");
        for target in Target::ALL.iter().filter(|&&target| target != Target::Portable) {
            let text = kernel_check(*target);
            assert!(text.contains(&format!("accepts(ferrolite_runtime::Target::{target:?})")), "{text}");
            assert_eq!(text.matches('`').count() % 2, 0, "{text}");
        }
        assert!(kernel_check(Target::CortexM33).contains("-C target-cpu=cortex-m33"));
        assert!(kernel_check(Target::CortexM55).contains("-C target-cpu=cortex-m55"));
    }
}
