import { readFile } from 'node:fs/promises'
import { text as textOf } from 'node:stream/consumers'
import { AppError } from '../../../src/errors.ts'
import { systemReason } from '../../../src/config/input.ts'
import { type Format, FORMATS, migrate } from '../../../src/migrate/migrate.ts'
import type { Io } from '../io.ts'
import { writeNewFile } from '../new-file.ts'
import { count, printable } from '../text.ts'

export interface ConfigMigrateOptions {
  /** `-`: standard input. */
  readonly file: string
  /** undefined: as it looks. */
  readonly from: string | undefined
  readonly authenticateUrl: string | undefined
  /** undefined: standard output. */
  readonly output: string | undefined
}

/** Prints another proxy's configuration as ours, or writes it into a new file, and lists on stderr what is not in it. Exit code 0, or 2 (not readable). */
export async function configMigrateCommand(
  { file, from, authenticateUrl, output }: ConfigMigrateOptions,
  io: Io,
): Promise<number> {
  const format = FORMATS.find((each) => each === from)
  if (from !== undefined && format === undefined) {
    throw new AppError('ERR_USAGE', `--from: expected one of ${FORMATS.join(', ')}, found ${JSON.stringify(from)}`)
  }
  if (authenticateUrl !== undefined && !(URL.canParse(authenticateUrl) && /^https?:/.test(authenticateUrl))) {
    throw new AppError('ERR_USAGE', '--authenticate-url: expected a URL such as https://authenticate.corp.example')
  }
  const migration = migrate(await read(file), format, authenticateUrl === undefined ? {} : { authenticateUrl })
  if (output === undefined) io.out(migration.yaml.trimEnd())
  // The input may hold secrets, and then so does the output.
  else writeNewFile(output, `${migration.yaml.trimEnd()}\n`, { secret: true })
  say(migration, file, io)
  return 0
}

function say(
  { format, missing }: { readonly format: Format; readonly missing: ReturnType<typeof migrate>['missing'] },
  file: string,
  io: Io,
): void {
  io.err(`Read ${file === '-' ? 'standard input' : printable(file)} as ${format}.`)
  for (const [kind, title] of [
    ['lost', 'not carried over'],
    ['unneeded', 'not needed here'],
  ] as const) {
    const chosen = missing.filter((each) => each.kind === kind)
    if (chosen.length === 0) continue
    io.err(`${count(chosen.length, 'key')} ${title}:`)
    for (const { key, message } of chosen) io.err(`  ${printable(key)}: ${printable(message)}`)
  }
  io.err('Read the comments, then run `postern check` on the result.')
}

async function read(file: string): Promise<string> {
  if (file === '-') return textOf(process.stdin)
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new AppError('ERR_USAGE', `cannot read ${file}: ${systemReason(error)}`)
  }
}
