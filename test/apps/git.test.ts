/** git over smart HTTP behind Postern: Apache with git-http-backend. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApache } from './apache.ts'
import { type Behind, startBehind } from './behind.ts'
import { onPath } from './installed.ts'
import { type Ran, type Running, run } from './process.ts'

const git = onPath(['git', 'apache2'], 'apt-get install git libapache2-mod-svn')
const ENV = {
  GIT_TERMINAL_PROMPT: '0',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Alice',
  GIT_AUTHOR_EMAIL: 'alice@example.com',
  GIT_COMMITTER_NAME: 'Alice',
  GIT_COMMITTER_EMAIL: 'alice@example.com',
}

describe.skipIf(git.bin === undefined)(git.name('git behind Postern'), () => {
  const served = mkdtempSync(join(tmpdir(), 'postern-git-served-'))
  const folder = mkdtempSync(join(tmpdir(), 'postern-git-'))
  let apache: Running
  let behind: Behind
  beforeAll(async () => {
    execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', join(served, 'repository.git')])
    execFileSync('git', ['-C', join(served, 'repository.git'), 'config', 'http.receivepack', 'true'])
    const server = await startApache(
      served,
      ['cgi', 'alias', 'env'],
      `SetEnv GIT_PROJECT_ROOT ${served}
      SetEnv GIT_HTTP_EXPORT_ALL
      ScriptAlias / ${execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim()}/git-http-backend/`,
    )
    apache = server
    behind = await startBehind(server.url)
  })
  afterAll(async () => {
    await behind?.close()
    await apache?.close()
    for (const one of [served, folder]) rmSync(one, { recursive: true, force: true })
  })

  const asked = (args: readonly string[], cwd = folder): Promise<Ran> => run(['git', ...args], { cwd, env: ENV })

  /** Clones, pushes more than git sends with a length (http.postBuffer, 1 MiB), and clones again. */
  async function cloneAndPush(url: string, name: string, options: readonly string[]): Promise<void> {
    const at = (...names: string[]): string => join(folder, name, ...names)
    expect(await asked([...options, 'clone', url, name])).toMatchObject({ code: 0 })
    const bytes = randomBytes(3_000_000)
    writeFileSync(at(`${name}.bin`), bytes)
    expect(await asked(['add', '.'], at())).toMatchObject({ code: 0 })
    expect(await asked(['commit', '--quiet', '--message', name], at())).toMatchObject({ code: 0 })
    expect(await asked([...options, 'push', 'origin', 'HEAD:main'], at())).toMatchObject({ code: 0 })
    expect(await asked([...options, 'clone', '--branch', 'main', url, `${name}-again`])).toMatchObject({ code: 0 })
    expect(readFileSync(join(folder, `${name}-again`, `${name}.bin`)).equals(bytes)).toBe(true)
  }

  test('clone and push on a public route', () => cloneAndPush(`${behind.publicUrl}/repository.git`, 'public', []))

  test('clone and push with the cookie of a session', async () => {
    const options = ['-c', `http.extraHeader=Cookie: ${await behind.cookie()}`]
    await cloneAndPush(`${behind.url}/repository.git`, 'session', options)
  })

  test('clone and push with a service token as password, from a credential helper and from the address', async () => {
    const token = await behind.token()
    const helper = `!f() { echo username=ci; echo password=${token}; }; f`
    await cloneAndPush(`${behind.programsUrl}/repository.git`, 'helper', ['-c', `credential.helper=${helper}`])
    const { host } = new URL(behind.programsUrl)
    await cloneAndPush(`http://ci:${token}@${host}/repository.git`, 'address', [])
    const bad = ['-c', `credential.helper=!f() { echo username=ci; echo password=${token}x; }; f`]
    const { code, output } = await asked([...bad, 'clone', `${behind.programsUrl}/repository.git`, 'refused'])
    expect({ code, refused: output.includes('Authentication failed') }).toEqual({ code: 128, refused: true })
    expect(behind.world.logText()).not.toContain(token)
  })

  test('without a session a clone fails and leaves nothing', async () => {
    const { code } = await asked(['clone', `${behind.url}/repository.git`, 'stranger'])
    expect(code).toBe(128)
    expect(existsSync(join(folder, 'stranger'))).toBe(false)
  })
})
