import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { type FileWatch, watchFiles } from '../../../src/server/watch.ts'
import { manualClock } from '../../support/clock.ts'

const DEBOUNCE = 250
const POLL = 30_000

let folder = ''
let watch: FileWatch | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-watch-'))
})
afterEach(() => {
  watch?.close()
  rmSync(folder, { recursive: true })
})

/** The configuration file and one secret file, as `run` has them: read first, followed afterwards. */
function world() {
  const clock = manualClock()
  const [file, secret] = [join(folder, 'config.yaml'), join(folder, 'secret')]
  writeFileSync(file, 'log_level: debug\n')
  writeFileSync(secret, 'a'.repeat(32))
  const changes: number[] = []
  watch = watchFiles(() => changes.push(clock.monotonic()), { clock, debounce: DEBOUNCE, poll: POLL })
  const load = async () => (await loadConfig(file, { SHARED_SECRET_FILE: secret })).files
  /** Time passes, and what was started by it has read its files. */
  const pass = async (by: number): Promise<void> => {
    clock.advance(by)
    await watch?.check()
  }
  return { clock, watch, file, secret, changes, load, pass }
}

test('loadConfig gives a hash of each file that it read, and the name of each that it could not', async () => {
  const { file, secret, load } = world()
  const first = await load()
  expect([...first.keys()]).toEqual([file, secret])
  expect(await load()).toEqual(first)
  writeFileSync(secret, 'b'.repeat(32))
  const second = await load()
  expect([second.get(file) === first.get(file), second.get(secret) === first.get(secret)]).toEqual([true, false])
  rmSync(secret)
  expect((await load()).get(secret)).toBeUndefined()
  expect([...(await load()).keys()]).toEqual([file, secret])
})

describe('follow calls back', () => {
  test.each([
    ['the configuration', (w: ReturnType<typeof world>) => writeFileSync(w.file, 'log_level: warn\n')],
    ['a secret', (w: ReturnType<typeof world>) => writeFileSync(w.secret, 'b'.repeat(32))],
    ['a file that is gone', (w: ReturnType<typeof world>) => rmSync(w.secret)],
  ])('after the debounce when %s changed between reading and following', async (_, change) => {
    const w = world()
    const read = await w.load()
    change(w)
    await w.watch.follow(read)
    expect(w.changes).toEqual([])
    const before = w.clock.monotonic()
    await w.clock.advanceAsync(DEBOUNCE)
    // Once for this content: the hash of what was read is what counts, not that of the moment of following.
    await expect.poll(() => w.changes).toEqual([before + DEBOUNCE])
    await w.pass(POLL)
    expect(w.changes).toHaveLength(1)
  })

  test('when a file changed while a reload was being judged', async () => {
    const w = world()
    await w.watch.follow(await w.load())
    writeFileSync(w.file, 'log_level: warn\n')
    await w.watch.check()
    expect(w.changes).toHaveLength(1)
    // The reload reads, and before it has been judged the file is written again.
    const judged = await w.load()
    writeFileSync(w.file, 'log_level: error\n')
    await w.watch.follow(judged)
    await w.clock.advanceAsync(DEBOUNCE)
    await expect.poll(() => w.changes).toHaveLength(2)
  })

  test('never for what is as it was read', async () => {
    const w = world()
    await w.watch.follow(await w.load())
    // The same bytes, written again.
    writeFileSync(w.file, 'log_level: debug\n')
    await w.pass(POLL)
    expect(w.changes).toEqual([])
  })

  test('when a file that was missing is there', async () => {
    const w = world()
    rmSync(w.secret)
    await w.watch.follow(await w.load())
    await w.pass(POLL)
    expect(w.changes).toEqual([])
    writeFileSync(w.secret, 'a'.repeat(32))
    await w.watch.check()
    expect(w.changes).toHaveLength(1)
  })
})
