import { describeDuration } from '../../src/lib/duration.ts'
import type { SourceTime, WallTime } from '../../src/types.ts'
import { epochMillis, isoTime } from '../../src/lib/time.ts'

/** Columns under their headings, for people. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const lines = [headings, ...rows.map((row) => row.map(printable))]
  const widths = headings.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  return lines.map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** Names come from elsewhere, and a terminal obeys what is in them. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd')
}

/** `2026-11-21T12:00:00Z`. */
export function instant(at: WallTime | SourceTime): string {
  return isoTime(at).replace(/\.\d+Z$/, 'Z')
}

/** `12 seconds ago`. */
export function ago(at: WallTime | SourceTime, now: WallTime): string {
  return `${describeDuration(Math.max(0, epochMillis(now) - epochMillis(at)))} ago`
}

/** `1 session`, `2 sessions`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}
