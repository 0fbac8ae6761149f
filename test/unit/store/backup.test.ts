/** What docs/backup.md says of the embedded store: a copy of its folder is the store. */
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createTestWorld } from '../../support/world.ts'

const copies = mkdtempSync(join(tmpdir(), 'postern-backup-'))
afterAll(() => rmSync(copies, { recursive: true }))

test('a copy of the folder of a stopped Postern has its sessions; with another secret it does not open', async () => {
  const path = join(copies, 'store')
  const world = await createTestWorld({ config: { storage: { type: 'embedded', path } } })
  try {
    const browser = world.browser()
    expect((await world.signIn(browser, 'http://engineering.localhost/', 'alice@example.com')).status).toBe(200)
    await world.restart()
    await world.app.close()
    cpSync(path, join(copies, 'copy'), { recursive: true })
    rmSync(path, { recursive: true })
    await world.restart({ storage: { type: 'embedded', path: join(copies, 'copy') } })
    expect((await browser.ask('http://engineering.localhost/')).status).toBe(200)
    await expect(
      world.another({ shared_secret: createHash('sha256').update('another').digest('base64') }),
    ).rejects.toThrow('shared_secret differs from the one that wrote this store')
  } finally {
    await world.close()
  }
})
