/** The bill of materials, CycloneDX: what npm says of what is packed, with what npm cannot know of, and nothing that differs from run to run. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Packed } from './packed.ts';

const root = path.dirname(path.dirname(import.meta.dirname));

interface Component {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly [member: string]: unknown;
}

interface Dependency {
  readonly ref: string;
  readonly dependsOn?: readonly string[];
}

interface Bom {
  readonly serialNumber: string;
  readonly metadata: { readonly timestamp: string; readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly Dependency[];
}

const COMMAND = ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--package-lock-only'];

/** RFC 9562 §5.8: an id that follows from what it names. */
function serialNumber(text: string): string {
  const digits = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(digits[16] ?? '0', 16) & 0x3) | 0x8).toString(16);
  const uuid = [digits.slice(0, 8), digits.slice(8, 12), `8${digits.slice(13, 16)}`, variant + digits.slice(17, 20)];
  return `urn:uuid:${[...uuid, digits.slice(20, 32)].join('-')}`;
}

const idOf = ({ name, version }: { readonly name: string; readonly version: string }): string => `${name}@${version}`;

/** @param time of the release @throws when npm does not know a package */
export function sbomFile(packages: readonly Packed[], runtime: readonly Packed[], time: Date): string {
  // Of everything: told to omit what serves development, npm omits packages that serve both.
  const output = execFileSync('npm', COMMAND, { cwd: root, encoding: 'utf8', maxBuffer: 100_000_000 });
  const bom: Bom = JSON.parse(output);
  const packed = new Set(packages.map(idOf));
  const known = bom.components.filter((component) => packed.has(idOf(component)));
  for (const component of known) packed.delete(idOf(component));
  if (packed.size > 0) throw new Error(`npm sbom does not know ${[...packed].join(', ')}`);
  const refs = new Set([bom.metadata.component, ...known].map((component) => component['bom-ref']));
  const dependencies = bom.dependencies
    .filter(({ ref }) => refs.has(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((other) => refs.has(other)) }));
  const extra = runtime.map(({ name, version, licence }) => ({
    'bom-ref': idOf({ name, version }),
    type: name === 'node' ? 'platform' : 'library',
    name,
    version,
    scope: 'required',
    licenses: [{ license: { id: licence } }],
  }));
  // To npm all of the program serves development, because the package of this name is the SDK; in the executable it is needed.
  const components = [
    ...known.map(({ properties: _, ...component }) => ({ ...component, scope: 'required' })),
    ...extra,
  ];
  const metadata = {
    ...bom.metadata,
    timestamp: time.toISOString(),
    // npm calls it as the folder is called.
    component: { ...bom.metadata.component, name: 'auth-server' },
  };
  const listed = components.map((component) => ({ ...component, externalReferences: [] }));
  const fixed = { ...bom, metadata, components: listed, dependencies };
  return `${JSON.stringify({ ...fixed, serialNumber: serialNumber(JSON.stringify({ ...fixed, serialNumber: '' })) }, null, 2)}\n`;
}
