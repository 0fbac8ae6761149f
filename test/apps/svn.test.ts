/** Subversion behind Postern: Apache with mod_dav_svn, and the methods of RFC 3253. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApache } from './apache.ts'
import { type Behind, startBehind } from './behind.ts'
import { onPath } from './installed.ts'
import { type Ran, type Running, run } from './process.ts'

const svn = onPath(['svn', 'svnadmin', 'apache2'], 'apt-get install subversion libapache2-mod-svn')

describe.skipIf(svn.bin === undefined)(svn.name('Subversion behind Postern'), () => {
  const served = mkdtempSync(join(tmpdir(), 'postern-svn-served-'))
  const folder = mkdtempSync(join(tmpdir(), 'postern-svn-'))
  let apache: Running
  let behind: Behind
  let overTls: Behind
  beforeAll(async () => {
    execFileSync('svnadmin', ['create', join(served, 'repository')])
    execFileSync('svnadmin', ['create', join(served, 'old')])
    const server = await startApache(
      served,
      ['dav', 'dav_svn', 'headers'],
      `<Location /repository>
        DAV svn
        SVNPath ${served}/repository
      </Location>
      <Location /old>
        DAV svn
        SVNPath ${served}/old
        SVNAdvertiseV2Protocol off
      </Location>`,
    )
    apache = server
    behind = await startBehind(server.url)
    overTls = await startBehind(server.url, {}, 'https')
  })
  afterAll(async () => {
    await overTls?.close()
    await behind?.close()
    await apache?.close()
    for (const one of [served, folder]) rmSync(one, { recursive: true, force: true })
  })

  const asked = (...args: readonly string[]): Promise<Ran> =>
    run(['svn', '--non-interactive', '--config-dir', join(folder, '.config'), ...args], { cwd: folder })

  // The older protocol commits with MKACTIVITY, CHECKOUT and MERGE, the newer with POST and MERGE.
  test.each(['repository', 'old'])('checkout, commit, copy and log of %s', async (name) => {
    const url = `${behind.publicUrl}/${name}`
    const at = (file: string): string => join(folder, name, file)
    const committed = (message: string) => asked('commit', '--message', message, join(folder, name))
    expect(await asked('checkout', url)).toMatchObject({ code: 0 })
    writeFileSync(at('a file.txt'), 'one\n')
    expect(await asked('add', at('a file.txt'))).toMatchObject({ code: 0 })
    expect(await committed('first')).toMatchObject({ code: 0 })
    expect(await asked('copy', '--message', 'second', `${url}/a%20file.txt`, `${url}/copy.txt`)).toMatchObject({
      code: 0,
    })
    expect(await asked('update', join(folder, name))).toMatchObject({ code: 0 })
    expect(readFileSync(at('copy.txt'), 'utf8')).toBe('one\n')
    expect((await asked('log', '--quiet', url)).output).toMatch(/r2 \|[^]*r1 \|/)
  })

  test('over https a copy names its Destination', async () => {
    const trusting = '--trust-server-cert-failures=unknown-ca,cn-mismatch,expired,not-yet-valid,other'
    const url = `${overTls.publicUrl}/repository`
    expect(await asked('mkdir', trusting, '--message', 'trunk', `${url}/trunk`)).toMatchObject({ code: 0 })
    const copied = await asked('copy', trusting, '--message', 'tag', `${url}/trunk`, `${url}/tag`)
    expect(copied).toMatchObject({ code: 0 })
  })

  test('without a session a checkout fails', async () => {
    const { code } = await asked('checkout', `${behind.url}/repository`, 'stranger')
    expect(code).not.toBe(0)
    expect(existsSync(join(folder, 'stranger', '.svn'))).toBe(false)
  })
})
