/**
 * Stands in for better-sqlite3's compiled file in the executable: takes it out of the executable, loads it and leaves
 * nothing behind. A file of its own because it runs in the packed program, not in the build.
 */
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { getRawAsset } = require('node:sea');

// The system's loader takes a path, never bytes. A container may mount the first of these read-only or noexec.
const parents = [tmpdir(), process.env.XDG_RUNTIME_DIR, '/dev/shm', process.cwd()].filter(Boolean);

function loadFrom(parent) {
  // Its mode is 0700 and its name a surprise, so that nobody else can put another file in the place of ours.
  const folder = mkdtempSync(join(parent, 'auth-server-'));
  try {
    const file = join(folder, 'better_sqlite3.node');
    writeFileSync(file, new Uint8Array(getRawAsset('better_sqlite3.node')), { mode: 0o500, flag: 'wx' });
    process.dlopen(module, file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function load() {
  const failures = [];
  for (const parent of parents) {
    try {
      loadFrom(parent);
      return;
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(
    failures,
    'SQLite could not be loaded: set TMPDIR to a folder that is writable and not mounted noexec.',
  );
}

load();
