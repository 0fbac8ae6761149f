/** Checks of the Dockerfile that need no build. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

interface Instruction {
  readonly word: string
  readonly rest: string
}

const instructions: readonly Instruction[] = read('Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ word: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1).trim() }))
const all = (word: string, among = instructions): readonly string[] =>
  among.filter((each) => each.word === word).map(({ rest }) => rest)
const runtime = instructions.slice(instructions.findLastIndex(({ word }) => word === 'FROM'))

describe('Dockerfile', () => {
  test('takes its bases as arguments, pinned to a version, on Node 24', () => {
    const bases = all('ARG').filter((arg) => arg.includes('_IMAGE='))
    expect(bases).toHaveLength(2)
    for (const base of bases) {
      expect(base).toMatch(/[^:]+:[^:]*\b\w+/)
      expect(base).not.toMatch(/:latest\b/)
      expect(base).toMatch(/node(?:js|:)24/)
    }
    expect(all('FROM').map((from) => from.split(' ')[0])).toEqual([
      '${BUILD_IMAGE}',
      '${BUILD_IMAGE}',
      '${RUNTIME_IMAGE}',
    ])
  })

  test('installs from the lockfile alone, and without development packages for the last stage', () => {
    const npm = all('RUN').filter((run) => run.includes('npm'))
    expect(npm).toContain('["npm", "ci", "--omit=dev"]')
    for (const run of npm) expect(run).toMatch(/^\["npm", "(ci|run)"/)
  })

  test('runs nothing in the last stage, and only copies what belongs there', () => {
    expect(all('RUN', runtime)).toEqual([])
    expect(all('COPY', runtime).map((copy) => copy.replace(/^(--\S+ )*/, ''))).toEqual([
      '/app/node_modules ./node_modules',
      '/src/dist/cmd ./dist/cmd',
      'package.json LICENSE config.schema.json ./',
      '/data /var/lib/postern',
    ])
  })

  test('runs as a number, on unprivileged ports, with every command in exec form', () => {
    expect(all('USER', runtime)).toEqual(['0', '65532:65532'])
    for (const port of all('EXPOSE').join(' ').split(' ')) expect(Number(port)).toBeGreaterThan(1023)
    const commands = [
      ...all('RUN'),
      ...all('ENTRYPOINT'),
      ...all('CMD'),
      ...all('HEALTHCHECK').map((check) => check.replace(/^.*CMD /, '')),
    ]
    for (const command of commands)
      expect(JSON.parse(command), command).toEqual(expect.arrayContaining([expect.any(String)]))
    expect(all('ENTRYPOINT')).toEqual([
      '["/nodejs/bin/node", "--max-semi-space-size=4", "/app/dist/cmd/postern/main.js"]',
    ])
    expect(all('CMD')).toEqual(['["run", "--config", "/etc/postern/config.yaml"]'])
    expect(all('HEALTHCHECK')[0]).toMatch(
      /"\/app\/dist\/cmd\/postern\/main\.js", "health", "--addr", "127\.0\.0\.1:9901"\]$/,
    )
    expect(all('STOPSIGNAL')).toEqual(['SIGTERM'])
  })

  test('has no secret, no download, no Node option and nothing that old builders do not know', () => {
    expect(all('ADD')).toEqual([])
    expect([...all('ARG'), ...all('ENV')].join('\n')).not.toMatch(/secret|token|password|NODE_OPTIONS/i)
    expect(read('Dockerfile')).not.toMatch(/<<|--link|--mount|^# ?syntax=/m)
  })

  test('labels the image with the version of the program', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string }
    expect(all('ARG', runtime)).toContain(`VERSION=${version}`)
    const labels = all('LABEL').join(' ')
    for (const label of ['title', 'description', 'licenses', 'version', 'revision'])
      expect(labels).toContain(`org.opencontainers.image.${label}=`)
  })
})

describe('.dockerignore', () => {
  const lines = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))

  test('lets in only what the Dockerfile copies', () => {
    const copied = all('COPY')
      .filter((copy) => !copy.includes('--from='))
      .flatMap((copy) =>
        copy
          .replace(/^(--\S+ )*/, '')
          .split(' ')
          .slice(0, -1),
      )
      .map((path) => path.replace('./', ''))
    expect(lines[0]).toBe('*')
    expect(lines.slice(1).toSorted()).toEqual([...new Set(copied)].map((path) => `!${path}`).toSorted())
  })

  test('names files that exist', () => {
    for (const line of lines.slice(1)) expect(existsSync(join(root, line.slice(1))), line).toBe(true)
  })
})
