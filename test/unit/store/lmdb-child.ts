import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { openLmdbStore } from '../../../src/store/lmdb.ts'
import type { Table } from '../../../src/types.ts'

/** A record that shows when a part of it is missing. */
export interface Sheet {
  readonly owner: string
  readonly number: number
  readonly filling: string
}

export const sheets: Table<Sheet> = {
  name: 'sheets',
  parse(value) {
    const { owner, number, filling } = value as Sheet
    return typeof owner === 'string' && filling === sheet(number).filling ? { owner, number, filling } : undefined
  },
  index: (value) => value.owner,
}

export function sheet(number: number): Sheet {
  return { owner: `owner${number % 5}`, number, filling: `${number},`.repeat(number % 2000) }
}

const say = (line: string) => process.stdout.write(`${line}\n`)

/** `write`: puts sheets for ever, saying each. `take`: takes the codes 0…count-1, saying what it got. `revoke`: deletes one sheet. */
export async function main(path: string, task: string, argument: string): Promise<void> {
  const store = openLmdbStore({ path, clock: systemClock, logger: silentLogger })
  say('ready')
  if (task === 'write') {
    for (let number = 0; ; number++) {
      await store.put(sheets, `${number}`, sheet(number), { expiresAt: Number(systemClock.now()) + 3_600_000 })
      if (number >= 10) await store.delete(sheets, `${number - 10}`)
      say(`${number}`)
    }
  }
  if (task === 'take') {
    await new Promise((resolve) => process.stdin.once('data', resolve))
    for (let number = 0; number < Number(argument); number++) {
      if (await store.take(sheets, `${number}`)) say(`${number}`)
    }
  }
  if (task === 'revoke') await store.delete(sheets, argument)
  await store.close()
  process.exit(0)
}
