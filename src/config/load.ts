/**
 * Brings flags, environment, file and defaults together into one frozen `Config`, and remembers where each value came
 * from. It stands alone as the only way to a `Config`; whatever is wrong is reported all at once.
 */
import { Secret } from '../domain/secret.ts';
import type { Config } from './config.ts';
import { deviationOf } from './deviations.ts';
import { ConfigurationRefusal, type Fault } from './fault.ts';
import { type ConfigFile, findConfigFile } from './file.ts';
import { judge } from './judge.ts';
import { GROUPS, KEYS, type Key, variableOf } from './keys.ts';
import { isTree, type LoadInput, layer, type Origin, whereOf } from './layers.ts';
import { doubts, listenComplaint } from './rules.ts';
import { configSchema, type Settings } from './schema.ts';
import { type SecretReader, secretReader } from './secret-source.ts';
import { isWorthHiding } from './secret-values.ts';
import { bracket } from './values.ts';

/** A configuration without faults, frozen. */
export interface LoadedConfig {
  readonly config: Config;
  /** Of every key. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** Absolute; null when there is none. */
  readonly file: string | null;
  readonly warnings: readonly string[];
  /** Variables that brought a secret: a process that is done with them can take them out of its environment. */
  readonly secretVariables: readonly string[];
}

/** All there is to say about a configuration; `loaded` is null when it has faults. */
export interface Report {
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
  readonly loaded: LoadedConfig | null;
}

/** @throws ConfigurationRefusal with all faults */
export function loadConfig(input: LoadInput): LoadedConfig {
  const { faults, loaded } = report(input);
  const [first, ...more] = faults;
  if (first !== undefined) throw new ConfigurationRefusal([first, ...more]);
  if (loaded === null) throw new Error('a configuration without faults was not loaded');
  return loaded;
}

/** For `config check`: every fault, with those that only a server would meet. */
export function checkConfig(input: LoadInput): Report {
  const found = report(input);
  const complaint = found.loaded === null ? undefined : listenComplaint(found.loaded.config);
  if (found.loaded === null || complaint === undefined) return found;
  const origin = ['listen.host', 'issuer']
    .map((path) => found.loaded?.origins.get(path))
    .find((one) => one?.kind !== 'default');
  return { ...found, faults: [{ where: whereOf(origin), ...complaint }] };
}

/** What the issuer is when the configuration does not say. */
export const defaultIssuer = (host: string, port: number): string => `http://${bracket(host)}:${port}`;

function report(input: LoadInput): Report {
  const found = findConfigFile(input);
  if (found !== null && !('tree' in found)) return { faults: [found], warnings: [], loaded: null };
  const layers = layer(input, found);
  const named = new Set<string>();
  const reader = noting(named, secretReader(input.env, input.cwd));
  const verdict = judge(configSchema(reader), layers.tree, (path) => whereOf(layers.originOf(path)));
  const exposed = exposure(found, reader);
  const warnings = [...layers.warnings, ...exposed.warnings];
  const faults = [...inOrder([...layers.faults, ...verdict.faults]), ...exposed.faults];
  if (verdict.settings === undefined || faults.length > 0) return { faults, warnings, loaded: null };

  const config = toConfig(verdict.settings, reader);
  const origins = new Map(KEYS.map((key) => [key.path, layers.originOf(key.path.split('.'))]));
  const loaded = Object.freeze({
    config,
    origins,
    file: found?.path ?? null,
    warnings: Object.freeze([...warnings, ...doubts(verdict.settings)]),
    secretVariables: Object.freeze([...variablesOfSecrets(input), ...named]),
  });
  return { faults, warnings: loaded.warnings, loaded };
}

/** Notes the variables that secrets are read from. */
const noting = (names: Set<string>, reader: SecretReader): SecretReader => ({
  ...reader,
  read(source) {
    if (typeof source === 'object' && 'env' in source) names.add(source.env);
    return reader.read(source);
  },
});

/** Paths whose JSON can hold a secret: the keys, and the groups that they are in. */
const SECRET_PATHS = KEYS.filter(({ form, path }) => form === 'secret' || path.startsWith('events.')).map(
  ({ path }) => path,
);
const SECRET_GROUPS = GROUPS.filter((group) => SECRET_PATHS.some((path) => path.startsWith(`${group}.`)));

const variablesOfSecrets = ({ env }: LoadInput): string[] =>
  [...SECRET_PATHS, ...SECRET_GROUPS].map(variableOf).filter((name) => env[name] !== undefined);

/** Faults of the file first, by line, as a reader goes through it. */
function inOrder(faults: readonly Fault[]): Fault[] {
  const line = ({ where }: Fault): number => Number(/:(\d+)$/.exec(where)?.[1] ?? Number.POSITIVE_INFINITY);
  return faults.toSorted((left, right) => (line(left) === line(right) ? 0 : line(left) - line(right)));
}

/** Whoever may change the file may point the server anywhere; with a secret in it, that is refused (security C15). */
function exposure(file: ConfigFile | null, reader: SecretReader): { faults: Fault[]; warnings: string[] } {
  if (file === null || !file.isWritableByOthers) return { faults: [], warnings: [] };
  let holdsSecret = false;
  configSchema({
    ...reader,
    read(source) {
      holdsSecret ||= typeof source === 'string' && isWorthHiding(source);
      return { kind: 'read', secret: new Secret('') };
    },
  }).safeParse(file.tree);
  const [message, remedy] = ['can be changed by others', `chmod go-w ${file.name}`];
  return holdsSecret
    ? { faults: [{ where: file.name, message: `${message}, and holds a secret`, remedy }], warnings: [] }
    : { faults: [], warnings: [`${file.name} ${message}: ${remedy}`] };
}

/** Fills in what depends on other keys. */
function toConfig(settings: Settings, reader: SecretReader): Config {
  const { directory, http } = settings.users;
  const { url, secret } = http;
  const service =
    directory === 'http' && url !== null && secret !== null ? Object.freeze({ ...http, url, secret }) : null;
  return Object.freeze({
    ...settings,
    issuer: settings.issuer ?? defaultIssuer(settings.listen.host, settings.listen.port),
    database: Object.freeze({ ...settings.database, url: locateDatabase(settings.database.url, reader) }),
    users: Object.freeze({ directory, http: service }),
  });
}

function locateDatabase(url: Secret, reader: SecretReader): Secret {
  const [, path] = /^sqlite:(.*)$/s.exec(url.reveal()) ?? [];
  return path === undefined ? url : new Secret(`sqlite:${reader.locate(path)}`);
}

/** One line of `config show`: the value as people write it, a secret masked. */
export interface DescribedKey {
  readonly path: string;
  readonly value: unknown;
  readonly origin: Origin;
  /** What a value gives up that is beyond the safe bound. */
  readonly deviation: string | undefined;
}

/** The effective configuration for `config show`: values as people write them, secrets masked, with their origins. */
export const describeConfig = (loaded: LoadedConfig): DescribedKey[] =>
  KEYS.map((key) => ({
    path: key.path,
    value: shown(key, at(loaded.config, key.path)),
    origin: loaded.origins.get(key.path) ?? { kind: 'default' },
    deviation: deviationOf(loaded.config, key.path),
  }));

const shown = (key: Key, value: unknown): unknown => {
  if (value === null) return null;
  return key.show === undefined ? JSON.parse(JSON.stringify(value)) : key.show(value);
};

const at = (config: Config, path: string): unknown =>
  path.split('.').reduce<unknown>((value, name) => (isTree(value) ? value[name] : null) ?? null, config);
