/**
 * Lists that come page by page: a terminal and `--json` get one page and how to go on, a pipe gets every row. It stands
 * apart so that no list forgets the rest.
 */
import { type Out, untilTaken } from './output.ts';
import type { Column } from './table.ts';

/** What one `fetch` brings. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  /** For `--json`, whole. */
  readonly document: unknown;
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

/** A list of records with a cursor, as `listPages` prints it. */
export interface Paging<Row> {
  /** Rows of a page, as the flags say; without it, by whoever reads. */
  readonly limit: number | undefined;
  readonly cursor: string | undefined;
  readonly page: { readonly default: number; readonly max: number };
  readonly columns: readonly Column<Row>[];
  /** When there are no rows: what to do about it. */
  readonly empty: string;
  /** The flag that takes a cursor. */
  readonly flag: string;
  readonly fetch: (limit: number, cursor: string | undefined) => Promise<Page<Row>>;
}

/** Prints the page, or all of them. */
export async function listPages<Row>(out: Out, paging: Paging<Row>): Promise<void> {
  const { columns, empty, fetch } = paging;
  const isPipe = !out.json && !out.isTerminal;
  const limit = paging.limit ?? (isPipe ? paging.page.max : paging.page.default);
  const readsOn = isPipe && paging.limit === undefined;
  let { cursor } = paging;
  for (let isFirst = true; ; isFirst = false) {
    const { rows, document, nextCursor } = await fetch(limit, cursor);
    const more = nextCursor === null ? undefined : `${rows.length} shown, more follow: ${paging.flag} ${nextCursor}`;
    if (isFirst || rows.length > 0) out.list({ document, rows, columns, empty, more });
    if (!readsOn || nextCursor === null) return;
    await untilTaken();
    cursor = nextCursor;
  }
}
