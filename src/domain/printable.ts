/** Foreign text made safe to show: it cannot move a cursor, fake a row, reverse a line or hide in it. */

// C0, DEL, C1, line and paragraph separators, bidi controls, zero-width characters, the byte-order mark, lone surrogates.
const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const visible = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Each unprintable character becomes a visible escape: `\u001b`. */
export const printable = (text: string): string => text.replace(UNPRINTABLE, visible);

/** Whether `printable` would leave the text as it is. */
export const isPrintable = (text: string): boolean => text.search(UNPRINTABLE) === -1;
