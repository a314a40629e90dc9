// Runs a firmware of an RP2040 in the emulator rp2040js and writes what it logs over RTT, as it is, or says through
// semihosting, to standard output.
//
// The boot ROM is not there: it would copy the first 256 bytes of the flash, which set up the flash's interface, and jump
// behind them. The emulator's flash needs no setting up, so the core starts with the vector table behind them.
//
// Ends with the code of a program that ends through semihosting, else with 0 when it has logged nothing for a while, and
// with 1 when it stops itself (a panic, a breakpoint).
'use strict';

const { readFileSync, writeSync } = require('node:fs');
const { ConsoleLogger, LogLevel, RP2040 } = require('rp2040js');

const FLASH = 0x10000000;
const TABLE = FLASH + 0x100;
// Instructions between two looks at the log; those without a word that end the run; and the most of all.
const PIECE = 10_000;
const QUIET = 50_000_000;
const MOST = 2_000_000_000;

const elf = readFileSync(process.argv[2]);
const word = (at) => elf.readUInt32LE(at);
const half = (at) => elf.readUInt16LE(at);

// Segments of the flash: type 1 is LOAD.
function load(flash) {
  for (let i = 0, at = word(28); i < half(44); i++, at += half(42)) {
    const [offset, physical, size] = [word(at + 4), word(at + 12), word(at + 16)];
    if (word(at) === 1 && physical >>> 24 === FLASH >>> 24) {
      flash.set(elf.subarray(offset, offset + size), physical - FLASH);
    }
  }
}

// The address of a symbol: sections of type 2 have symbols, and name the section with their names.
function symbol(wanted) {
  const section = (index) => word(32) + index * half(46);
  for (let index = 0; index < half(48); index++) {
    const table = section(index);
    if (word(table + 4) !== 2) continue;
    const names = word(section(word(table + 24)) + 16);
    for (let at = word(table + 16), end = at + word(table + 20); at < end; at += 16) {
      const start = names + word(at);
      if (elf.toString('latin1', start, elf.indexOf(0, start)) === wanted) return word(at + 4);
    }
  }
  return undefined;
}

// What a breakpoint 0xAB asks for: a line (SYS_WRITE0), or the end (SYS_EXIT_EXTENDED: reason and code).
function semihost(chip) {
  const [call, argument] = [chip.core.registers[0] >>> 0, chip.core.registers[1] >>> 0];
  if (call === 0x04) {
    const bytes = [];
    for (let at = argument, byte; (byte = chip.readUint8(at)) !== 0; at++) bytes.push(byte);
    writeSync(1, Buffer.from(bytes));
    return true;
  }
  if (call === 0x20) process.exit(chip.readUint32(argument + 4));
  return false;
}

// Writes what is new in the first channel up; returns how many bytes. A channel is name, buffer, size, write, read.
function drain(chip, block) {
  const channel = block + 24;
  const [buffer, size, write, read] = [4, 8, 12, 16].map((offset) => chip.readUint32(channel + offset));
  if (buffer === 0 || size === 0 || write === read) return 0;
  const bytes = [];
  for (let at = read; at !== write; at = (at + 1) % size) bytes.push(chip.readUint8(buffer + at));
  chip.writeUint32(channel + 16, write);
  writeSync(1, Buffer.from(bytes));
  return bytes.length;
}

const chip = new RP2040();
chip.logger = new ConsoleLogger(LogLevel.Error);
load(chip.flash);
chip.core.VTOR = TABLE;
chip.core.SP = chip.readUint32(TABLE);
chip.core.PC = chip.readUint32(TABLE + 4) & ~1;
let stopped = false;
chip.onBreak = (code) => { stopped = !(code === 0xab && semihost(chip)); };

const block = symbol('_SEGGER_RTT');
let quiet = 0;
for (let all = 0; all < MOST && quiet < QUIET && !stopped; all += PIECE) {
  for (let i = 0; i < PIECE && !stopped; i++) chip.step();
  quiet = block !== undefined && drain(chip, block) > 0 ? 0 : quiet + PIECE;
}
process.exit(stopped || quiet < QUIET ? 1 : 0);
