/** A master key made ahead of the server, by `init`; `serve` makes one by itself while its database holds no keys. */
import { createMasterKeyFile } from '../crypto/master-key.ts';

/** Never replaces a file. @returns whether it was made; false when there was one. @throws the file system's error */
export function makeMasterKeyFile(path: string): boolean {
  try {
    createMasterKeyFile(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}
