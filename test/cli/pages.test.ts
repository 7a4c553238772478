/** Lists in a pipe: whoever reads slowly is waited for, so that no number of rows has to fit into memory. */
import { expect, test, vi } from 'vitest';
import { makeOut } from '../../cli/output.ts';
import { listPages } from '../../cli/pages.ts';
import { epochMs } from '../../src/domain/time.ts';
import { until } from '../support/until.ts';

test('the next page is fetched when this one has been taken', async () => {
  const needsDrain = vi.spyOn(process.stdout, 'writableNeedDrain', 'get').mockReturnValue(true);
  const written: string[] = [];
  const write = (text: string): void => void written.push(text);
  const out = makeOut({
    json: false,
    isTerminal: false,
    isColoured: false,
    notesColoured: false,
    width: 80,
    now: epochMs(0),
    write,
    writeNote: write,
  });
  const listed = listPages<number>(out, {
    limit: undefined,
    cursor: undefined,
    page: { default: 1, max: 1 },
    columns: [{ title: 'N', value: String }],
    empty: 'none',
    flag: '--cursor',
    fetch: async (_, cursor) => {
      const row = Number(cursor ?? 0);
      return { rows: [row], document: null, nextCursor: row === 2 ? null : String(row + 1) };
    },
  });
  for (const taken of [1, 2]) {
    await until(() => process.stdout.listenerCount('drain') > 0, 'it waits');
    expect(written).toHaveLength(taken);
    process.stdout.emit('drain');
    await until(() => written.length > taken, 'it goes on');
  }
  await listed;
  expect(written).toEqual(['0\n', '1\n', '2\n']);
  needsDrain.mockRestore();
});
