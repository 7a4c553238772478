/**
 * `doctor`: looks at everything that the product stands on, and says what to do about each finding. What is broken becomes a
 * finding, and the next check goes on.
 */
import { ConfigurationRefusal } from '../../src/config/fault.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import type { Finding } from '../../src/domain/finding.ts';
import { durationMs } from '../../src/domain/time.ts';
import { type DefineCommand, endWith, type GlobalFlags, helpNotes } from '../command.ts';
import { findingLines } from '../finding-text.ts';
import { outFor } from '../output.ts';
import { logOf, readConfig } from '../with-app.ts';

/** Opens a database of any schema or none. Whatever it finds is on stdout, and the exit code is 0 or 1. */
export const defineDoctor: DefineCommand = (command) => {
  command
    .description('Checks configuration, files, database, keys, clock and all it calls, and says what to do.')
    .action(async (flags: GlobalFlags) => {
      const out = outFor(flags);
      const checks = await examineAll(flags);
      const isFit = checks.every(({ status }) => status !== 'fail');
      out.result({ ok: isFit, checks }, findingLines(checks, out.width));
      if (!isFit) endWith(1);
    });
  helpNotes(command, {
    examples: ['auth-server doctor', 'auth-server doctor --json | jq ".checks[] | select(.status != \\"ok\\")"'],
    exit: '0 no failure, 1 a failure; a warning is none',
  });
};

async function examineAll(flags: GlobalFlags): Promise<readonly Finding[]> {
  const { checkConfigFile, checkFiles, checkIssuer, checkRuntime } = await import('../machine.ts');
  const { fail } = await import('../../src/domain/finding.ts');
  const findings: Finding[] = [checkRuntime()];
  let loaded: LoadedConfig;
  try {
    // Its warnings are findings here.
    loaded = await readConfig(flags, { warn: () => undefined });
  } catch (error) {
    if (!(error instanceof ConfigurationRefusal)) throw error;
    const faults = error.faults.map(({ where, message, remedy }) =>
      fail('configuration', `${where}: ${message}`, remedy),
    );
    return [...findings, ...faults];
  }
  findings.push(...checkConfigFile(loaded), checkIssuer(loaded.config), ...checkFiles(loaded.config));
  findings.push(...(await examineDatabase(loaded)));
  const { checkReach } = await import('../reach.ts');
  // Last, because a process that is busy elsewhere would take a friend for one who does not answer.
  return [...findings, ...(await checkReach(loaded.config))];
}

async function examineDatabase(loaded: LoadedConfig): Promise<readonly Finding[]> {
  const { examine, failure } = await import('../../src/operations/doctor.ts');
  const { closeApp, openApp } = await import('../../src/app.ts');
  const { config, origins } = loaded;
  try {
    const log = logOf(config, 'error');
    const app = await openApp({ config, log, schema: 'any', waitForDatabase: durationMs(0) });
    try {
      return await examine(app, { isDefault: origins.get('issuer')?.kind === 'default' });
    } finally {
      await closeApp(app);
    }
  } catch (error) {
    return [failure('database', error)];
  }
}
