/** Each commit of the embedded store waits for the disk, and with it everybody: how many a sign-in takes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { expect, test } from 'vitest'
import { manualClock } from '../support/clock.ts'
import { createTestWorld } from '../support/world.ts'

const APP = 'http://everyone.localhost/'

test('a sign-in takes three: the state is spent, session and hand-off are there, the hand-off is spent', async () => {
  const path = mkdtempSync(join(tmpdir(), 'postern-commits-'))
  // Nothing is written in the background.
  const world = await createTestWorld({ clock: manualClock(), config: { storage: { type: 'embedded', path } } })
  const file = open({ path: join(path, 'postern.mdb'), noSubdir: true })
  const commits = (): number => (file.getStats() as { readonly lastTxnId: number }).lastTxnId
  try {
    // What the directory says of her is stored once.
    await world.signIn(world.browser(), APP, 'alice@example.com')
    const before = commits()
    expect((await world.signIn(world.browser(), APP, 'alice@example.com')).status).toBe(200)
    expect(commits() - before).toBe(3)
  } finally {
    await file.close()
    await world.close()
    rmSync(path, { recursive: true })
  }
})
