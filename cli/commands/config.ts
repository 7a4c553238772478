/** `config`: whether the configuration holds, what is in force and where each value came from, and its JSON Schema. */
import type { Command } from 'commander';
import type { Origin } from '../../src/config/layers.ts';
import type { DescribedKey, Report } from '../../src/config/load.ts';
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { type Out, outFor } from '../output.ts';
import { configSources, logOf, readConfig, warn } from '../with-app.ts';

/** Makes nothing. Of a database that is there, `check` reads the issuer, to warn of a change. */
export const defineConfig: DefineCommand = (command) => {
  command.description('The configuration: checks it, shows what is in force, prints its JSON Schema.');
  helpNotes(command, {
    examples: ['auth-server config check', 'auth-server config show', 'auth-server config schema'],
    exit: '0 done, 5 the configuration has faults',
  });
  defineCheck(command.command('check'));
  defineShow(command.command('show'));
  defineSchema(command.command('schema'));
};

function defineCheck(command: Command): void {
  command.description('lists all that is wrong, as serve would find it').action(async (flags: GlobalFlags) => {
    const out = outFor(flags);
    const { checkConfig } = await import('../../src/config/load.ts');
    const { ConfigurationRefusal } = await import('../../src/config/fault.ts');
    const report = checkConfig({ ...configSources(flags), flags: {} });
    for (const warning of report.warnings) warn(out, warning);
    const [first, ...more] = report.faults;
    if (first !== undefined) throw new ConfigurationRefusal([first, ...more]);
    const change = await issuerChange(report);
    if (change !== undefined) warn(out, change);
    const warnings = [...report.warnings, ...(change === undefined ? [] : [change])];
    const file = report.loaded?.file ?? null;
    const source = file ?? 'no file: defaults and environment';
    out.result(
      { ok: true, file, warnings },
      `ok, ${warnings.length === 0 ? 'nothing' : 'no fault'} to remark on (${source})`,
    );
  });
  helpNotes(command, {
    examples: ['auth-server config check', 'auth-server config check --config /etc/auth-server/auth.config.json'],
    exit: '0 no fault, 5 at least one fault',
  });
}

/** The issuer is part of every token: with another one, no token that is out there is accepted. */
async function issuerChange({ loaded }: Report): Promise<string | undefined> {
  if (loaded === null) return undefined;
  const { config, origins } = loaded;
  const { Refusal } = await import('../../src/refusal.ts');
  const { closeApp, openApp } = await import('../../src/app.ts');
  try {
    const app = await openApp({ config, log: logOf(config, 'error'), schema: 'current' });
    try {
      const { storedIssuer } = await import('../../src/operations/issuer.ts');
      const kept = await storedIssuer(app.store);
      if (kept === undefined || kept === config.issuer) return undefined;
      const why = origins.get('issuer')?.kind === 'default' ? ' (by default, from listen.host and listen.port)' : '';
      return `the issuer is ${config.issuer}${why}, but tokens were issued by ${kept}: serving like this ends every session`;
    } finally {
      await closeApp(app);
    }
  } catch (error) {
    // A configuration can be right before its database exists.
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
const originText = ({ kind, name }: Origin): string => (name === undefined ? kind : `${kind}: ${name}`);

function defineShow(command: Command): void {
  command
    .description(
      'shows every value in force, where it came from, and which are beyond a safe bound; secrets are masked',
    )
    .action(async (flags: GlobalFlags) => {
      const out: Out = outFor(flags);
      const loaded = await readConfig(flags, { warn: (text) => warn(out, text) });
      const { describeConfig } = await import('../../src/config/load.ts');
      const entries: readonly DescribedKey[] = describeConfig(loaded);
      out.list({
        document: {
          file: loaded.file,
          values: entries.map(({ path, value, origin, deviation }) => ({
            key: path,
            value,
            origin: origin.kind,
            source: origin.name ?? null,
            deviates: deviation ?? null,
          })),
        },
        rows: entries,
        columns: [
          { title: 'KEY', value: ({ path }) => path },
          {
            title: 'VALUE',
            value: ({ value }) => asText(value),
            text: ({ value, deviation }) => `${asText(value)}${deviation === undefined ? '' : ' !'}`,
            tone: ({ deviation }) => (deviation === undefined ? undefined : 'warn'),
          },
          {
            title: 'FROM',
            value: ({ origin }) => originText(origin),
            tone: ({ origin }) => (origin.kind === 'default' ? 'dim' : undefined),
          },
          ...(out.isTerminal ? [] : [{ title: 'DEVIATES', value: ({ deviation }: DescribedKey) => deviation ?? null }]),
        ],
        empty: 'there are no keys',
      });
      if (out.isTerminal && !out.json) explain(out, entries);
    });
  helpNotes(command, {
    examples: ['auth-server config show', 'auth-server config show --json'],
    exit: '0 done, 5 the configuration has faults',
  });
}

/** In a pipe they are a column; a table has no room for sentences. */
function explain(out: Out, entries: readonly DescribedKey[]): void {
  const marked = entries.filter(({ deviation }) => deviation !== undefined);
  if (marked.length === 0) return;
  out.note('! promises less than it could (docs/configuration.md, "Safe bounds"):');
  for (const { path, deviation } of marked) out.note(`  ${path}: ${deviation}`);
}

function defineSchema(command: Command): void {
  command
    .description('prints the JSON Schema of the configuration file, for editors')
    .action(async (flags: GlobalFlags) => {
      const { jsonSchema } = await import('../../src/config/keys.ts');
      const schema = jsonSchema();
      outFor(flags).result(schema, JSON.stringify(schema, null, 2).split('\n'));
    });
  helpNotes(command, { examples: ['auth-server config schema > auth.config.schema.json'], exit: '0 done' });
}
