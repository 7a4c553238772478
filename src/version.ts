/** The version of this program, as `package.json` has it; it stands alone because both the command line and HTTP tell it. */
import manifest from '../package.json' with { type: 'json' };

export const VERSION: string = manifest.version;
