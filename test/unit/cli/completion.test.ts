/** What real shells complete with the scripts of `postern completion`. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cli } from '../../support/cli.ts'

const run = promisify(execFile)
const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0

const folder = mkdtempSync(join(tmpdir(), 'postern-completion-'))
const file = (name: string): string => join(folder, name)

beforeAll(async () => {
  writeFileSync(file('wiki.yaml'), '')
  writeFileSync(file('with space.yaml'), '')
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { exitCode, out } = await cli(['completion', shell])
    expect(exitCode).toBe(0)
    writeFileSync(file(`postern.${shell}`), out)
  }
})

afterAll(() => rmSync(folder, { recursive: true }))

type Complete = (line: string) => Promise<readonly string[]>

async function lines(program: string, args: readonly string[]): Promise<readonly string[]> {
  const { stdout, stderr } = await run(program, args, {
    cwd: folder,
    timeout: 20_000,
    env: { ...process.env, TERM: 'dumb' },
  })
  expect(stderr).toBe('')
  return stdout.split('\n').filter(Boolean)
}

/** The function is called as readline would call it. */
const bash: Complete = (line) =>
  lines('bash', [
    '--norc',
    '-c',
    // compopt works in a completion alone.
    `compopt() { :; }; source ./postern.bash
     line=$1; read -ra COMP_WORDS <<<"$line"; [[ $line == *' ' ]] && COMP_WORDS+=('')
     COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _postern; printf '%s\\n' "\${COMPREPLY[@]}"`,
    'bash',
    line,
  ])

/** Tab in a terminal; every word that its completion system takes is written down. */
const zsh: Complete = (line) =>
  lines('zsh', [
    '-f',
    '-c',
    `zmodload zsh/zpty
     zpty terminal zsh -f -i
     zpty -w terminal 'autoload -Uz compinit; compinit -u -d ./.completions; source ./postern.zsh; postern() { : }
       compadd() {
         [[ " $* " == *" -"(O|A|D)" "* ]] && { builtin compadd "$@"; return }
         local -a taken; builtin compadd -O taken "$@"; (( $#taken )) && print -rl -- $taken >>given
         builtin compadd "$@"
       }; echo rea""dy'
     zpty -r -m terminal reply '*ready*'
     zpty -w -n terminal "$1"$'\\t\\n'
     zpty -w terminal exit
     while zpty -r terminal reply; do :; done
     touch given; cat given; rm given`,
    'zsh',
    line,
  ])

/** Each candidate is a line: the word, a tab, its description. */
const fish: Complete = async (line) =>
  (
    await lines('fish', ['--no-config', '-c', 'source ./postern.fish; complete --do-complete $argv[1]', '--', line])
  ).map((each) => each.split('\t')[0] ?? '')

describe.each([
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
] as const)('in %s', (shell, complete) => {
  const cannot = has(shell) ? undefined : `no ${shell} here: bash scripts/ci-tools.sh`

  test.skipIf(cannot)('commands, those of a group, and no other', async () => {
    expect(await complete('postern che')).toEqual(['check'])
    expect([...(await complete('postern sessions '))].toSorted()).toEqual(
      expect.arrayContaining(['list', 'revoke', 'show']),
    )
    expect(await complete('postern sessions ')).not.toContain('check')
  })

  test.skipIf(cannot)('options of the command alone', async () => {
    const options = await complete('postern sessions revoke --')
    expect(options).toEqual(expect.arrayContaining(['--config', '--user', '--all']))
    expect(options).not.toContain('--online')
  })

  test.skipIf(cannot)('values of an option, and of an argument', async () => {
    expect([...(await complete('postern secrets generate --format '))].toSorted()).toEqual(['env', 'raw', 'yaml'])
    expect(await complete('postern completion f')).toEqual(['fish'])
  })

  test.skipIf(cannot)('files, also with a blank in the name', async () => {
    expect(await complete('postern check --config wik')).toEqual(['wiki.yaml'])
    expect(await complete('postern run wi')).toEqual(expect.arrayContaining(['wiki.yaml']))
    expect((await complete('postern test w')).some((name) => /^with\\? space\.yaml$/.test(name))).toBe(true)
  })

  test.skipIf(cannot)('nothing where only the person knows', async () => {
    expect(await complete('postern sessions list --user ')).toEqual([])
  })
})

test('a shell that there is no script for is a wrong use, and the answer names the others', async () => {
  const { exitCode, err } = await cli(['completion', 'tcsh'])
  expect(exitCode).toBe(2)
  expect(err).toContain('bash, zsh, fish')
})

describe('the manual page', () => {
  test('is what man(1) and mandoc(1) read without a complaint', async () => {
    const { out } = await cli(['man'])
    // npm run docs
    expect(readFileSync(new URL('../../../man/postern.1', import.meta.url), 'utf8')).toBe(`${out}\n`)
    writeFileSync(file('postern.1'), `${out}\n`)
    if (has('groff')) {
      const { stdout, stderr } = await run('groff', ['-man', '-ww', '-Tutf8', '-P-cbou', file('postern.1')])
      expect(stderr).toBe('')
      expect(stdout).toMatch(/postern sessions revoke session\n +End sessions at once\./)
      expect(stdout).toMatch(/--expires duration\n/)
      expect(stdout).not.toMatch(/\\|^ *\.[A-Z]/m)
    }
    if (spawnSync('mandoc', ['-?']).error === undefined) {
      const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', file('postern.1')], { encoding: 'utf8' })
      expect(stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'))).toEqual([])
    }
  })
})
