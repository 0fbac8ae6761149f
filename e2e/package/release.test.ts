/** scripts/release.mjs in repositories made for the purpose. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'postern-release-'))
afterAll(() => rmSync(scratch, { recursive: true }))

const version = '0.1.0'
const today = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version
/** Today's version, where it is ours. */
const current = new RegExp(`(ersion"?: "?|VERSION=|postern:)${today.replaceAll('.', '\\.')}`, 'g')

/** What names the version. */
const FILES = [
  'package.json',
  'package-lock.json',
  'helm/postern/Chart.yaml',
  'Dockerfile',
  'compose.yaml',
  'docs/deploy.md',
]

/** A repository with the files that name the version, at 0.1.0, and one commit. */
function repository() {
  const folder = mkdtempSync(join(scratch, 'repository-'))
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: folder,
      encoding: 'utf8',
    })
  for (const file of FILES) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), readFileSync(join(root, file), 'utf8').replaceAll(current, `$1${version}`))
  }
  git('init', '--quiet')
  git('add', '.')
  git('commit', '--quiet', '--message', 'feat: begin')
  const release = (...args: string[]): { readonly code: number; readonly out: string } => {
    try {
      const env = {
        ...process.env,
        RELEASE_DATE: '2026-12-01',
        GIT_AUTHOR_NAME: 't',
        GIT_AUTHOR_EMAIL: 't@example.com',
        GIT_COMMITTER_NAME: 't',
        GIT_COMMITTER_EMAIL: 't@example.com',
      }
      const out = execFileSync(process.execPath, [join(root, 'scripts/release.mjs'), ...args], {
        cwd: folder,
        encoding: 'utf8',
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      return { code: 0, out }
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string }
      return { code: status, out: stdout + stderr }
    }
  }
  return {
    git,
    release,
    commit: (...message: string[]) =>
      git('commit', '--quiet', '--allow-empty', ...message.flatMap((part) => ['-m', part])),
    read: (file: string): string => readFileSync(join(folder, file), 'utf8'),
    write: (file: string, text: string) => writeFileSync(join(folder, file), text),
  }
}

describe('scripts/release.mjs', () => {
  test('knows every file that names an image or a package of this version', () => {
    const named = execFileSync('git', ['grep', '-lE', `postern[:-]${today.replaceAll('.', '[.]')}`], {
      cwd: root,
      encoding: 'utf8',
    })
    const files = named.split('\n').filter((file) => file !== '' && !/^(?:test|e2e|bench)\/|\.test\./.test(file))
    expect(FILES).toEqual(expect.arrayContaining(files))
  })

  test('plan changes nothing, and the first release has the version of package.json and no faults', () => {
    const { release, commit, git } = repository()
    commit('fix(proxy): a fault that nobody had')
    const { code, out } = release('plan')
    expect([code, out.split('\n')[0]]).toEqual([0, `${version} → ${version}`])
    expect(out).toContain('- begin (')
    expect(out).not.toContain('a fault')
    expect(git('status', '--porcelain')).toBe('')
  })

  test('make writes the version everywhere, the change log, a commit and a tag', () => {
    const { release, commit, git, read } = repository()
    expect(release('make').code).toBe(0)
    commit('feat(policy): judge the weather', 'Because.')
    commit('fix(proxy): keep the umbrella')
    commit('test: look out of the window')
    expect(release('make')).toMatchObject({ code: 0, out: expect.stringContaining('v0.2.0 is committed and tagged') })
    expect(git('tag')).toBe(`v${version}\nv0.2.0\n`)
    expect(git('log', '-1', '--format=%s')).toBe('chore(release): 0.2.0\n')
    expect(git('status', '--porcelain')).toBe('')
    expect(JSON.parse(read('package.json'))).toMatchObject({ version: '0.2.0' })
    expect(JSON.parse(read('package-lock.json'))).toMatchObject({
      version: '0.2.0',
      packages: { '': { version: '0.2.0' } },
    })
    expect(read('helm/postern/Chart.yaml').match(/ersion: 0\.2\.0$/gm)).toHaveLength(2)
    expect(read('Dockerfile')).toContain('ARG VERSION=0.2.0\n')
    expect(read('docs/deploy.md')).toContain('postern:0.2.0')
    expect(read('compose.yaml')).toContain('postern:0.2.0')
    for (const file of FILES) expect(read(file), file).not.toContain(`postern:${version}`)
    const changes = read('CHANGELOG.md')
    const headings = [...changes.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
    expect(headings).toEqual(['0.2.0 (2026-12-01)', `${version} (2026-12-01)`])
    expect(changes).toMatch(/### New\n\n- \*\*policy\*\*: judge the weather \([0-9a-f]{8}\)\n/)
    expect(changes).toMatch(/### Mended\n\n- \*\*proxy\*\*: keep the umbrella/)
    expect(changes).not.toContain('window')
    expect(release('notes', '0.2.0').out).toContain('judge the weather')
    expect(release('notes', '0.2.0').out).not.toContain(`## ${version}`)
  })

  test.each([
    ['fix: a', '', '0.1.1'],
    ['feat: a', '', '0.2.0'],
    ['feat!: a', '', '0.2.0'],
    ['perf: a', 'BREAKING CHANGE: not\nas before', '0.2.0'],
  ])('before 1.0 %s %s makes %s', (subject, body, expected) => {
    const { release, commit } = repository()
    release('make')
    commit(subject, ...(body === '' ? [] : [body]))
    expect(release('plan').out.split('\n')[0]).toBe(`0.1.0 → ${expected}`)
  })

  test('from 1.0 on what breaks makes a major version, and says how', () => {
    const { release, commit, git, read, write } = repository()
    for (const file of FILES) write(file, read(file).replaceAll(/(?<=ersion"?: "?|VERSION=|postern:)0\.1\.0/g, '1.4.2'))
    git('commit', '--quiet', '--all', '--message', 'feat: grow up')
    expect(release('make').code).toBe(0)
    commit('feat(config)!: drop `policy`', 'BREAKING CHANGE: write `routes`\ninstead.')
    expect(release('plan').out).toMatch(
      /^1\.4\.2 → 2\.0\.0\n\n## 2\.0\.0 \(2026-12-01\)\n\n### Breaking changes\n\n- \*\*config\*\*: drop `policy`\. write `routes` instead\. \(/,
    )
  })

  test('refuses what is not committed, what has nothing new, and a version that is not the last release', () => {
    const { release, write, git, read } = repository()
    write('stray', '')
    expect(release('make')).toMatchObject({ code: 1, out: expect.stringContaining('commit first') })
    git('add', '.')
    git('commit', '--quiet', '--message', 'chore: stray')
    release('make')
    expect(release('make')).toMatchObject({ code: 1, out: expect.stringContaining('nothing was committed since') })
    write('package.json', read('package.json').replace('"version": "0.1.0"', '"version": "0.1.7"'))
    git('commit', '--quiet', '--all', '--message', 'fix: a')
    expect(release('make')).toMatchObject({
      code: 1,
      out: expect.stringContaining('package.json says 0.1.7, and the last release is v0.1.0'),
    })
    expect(release('notes', '9.9.9').code).toBe(1)
    expect(release().code).toBe(2)
  })
})
