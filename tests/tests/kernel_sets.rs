//! The kernel set of a target for which nothing can be assembled, because its standard library is built
//! along: there, the target's name decides, and must give the result that assembling would.

#[allow(dead_code)]
#[path = "../../schema/build.rs"]
mod build;

#[test]
fn names_of_targets_say_the_set() {
    for (target, flags, wanted) in [
        ("thumbv6m-nuttx-eabi", "", Some("armv6m")),
        ("thumbv7m-nuttx-eabi", "", Some("armv7m")),
        ("thumbv7em-nuttx-eabihf", "", Some("armv7em")),
        ("thumbv8m.base-nuttx-eabi", "", Some("armv6m")),
        ("thumbv8m.main-nuttx-eabihf", "", Some("armv7m")),
        ("thumbv8m.main-nuttx-eabihf", "-Ctarget-cpu=cortex-m33", Some("armv7em")),
        ("thumbv8m.main-nuttx-eabihf", "-C\u{1f}target-cpu=cortex-m55", Some("mve")),
        ("riscv32imc-esp-espidf", "", Some("rv32im")),
        ("riscv32gc-unknown-linux-gnu", "", Some("rv32im")),
        ("riscv32i-unknown-none-elf", "", None),
        ("thumbv7a-nuttx-eabihf", "", None),
        ("thumbv7neon-unknown-linux-gnueabihf", "", None),
        ("armv7-rtems-eabihf", "", None),
        ("armv7a-none-eabi", "-Ctarget-cpu=cortex-a9", None),
        ("xtensa-esp32-espidf", "", None),
    ] {
        assert_eq!(build::by_name(target, flags), wanted, "{target} {flags}");
    }
}
