/** A working directory with a configuration file in it, and short ways to load it: shared by the tests of this folder. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ConfigurationRefusal, type Fault } from '../../src/config/fault.ts';
import type { LoadInput } from '../../src/config/layers.ts';
import { checkConfig, type LoadedConfig, loadConfig } from '../../src/config/load.ts';

/** An empty folder that goes with the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'auth-server-config-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Writes a file of exactly this mode, whatever the umask. */
export function write(path: string, content: string | Buffer, mode = 0o600): string {
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

interface Given extends Partial<LoadInput> {
  /** The text of auth.config.json, or what it holds. */
  readonly file?: string | object;
}

function inputOf({ file, ...given }: Given): LoadInput {
  const cwd = given.cwd ?? folder();
  if (file !== undefined) {
    write(join(cwd, 'auth.config.json'), typeof file === 'string' ? file : JSON.stringify(file, null, 2));
  }
  return { flags: {}, env: {}, ...given, cwd };
}

export const load = (given: Given = {}): LoadedConfig => loadConfig(inputOf(given));

export const check = (given: Given = {}): ReturnType<typeof checkConfig> => checkConfig(inputOf(given));

/** The faults of what must not load; every one has a place, words and a remedy. */
export function faultsOf(given: Given): readonly Fault[] {
  try {
    load(given);
  } catch (error) {
    if (!(error instanceof ConfigurationRefusal)) throw error;
    return error.faults;
  }
  throw new Error('the configuration was accepted');
}

/** `where: message` of each fault. */
export const complaints = (given: Given): string[] =>
  faultsOf(given).map(({ where, message }) => `${where}: ${message}`);
