/** The version of this program, as `package.json` has it; it stands alone because both the command line and HTTP tell it. */
import manifest from '../package.json' with { type: 'json' };

/** As `package.json` spells it: `1.0.0`. */
export const VERSION: string = manifest.version;
