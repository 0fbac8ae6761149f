/** The example for Spring: a resource server whose token is the identity JWT. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { identitySuite } from './identity-suite.ts'
import { installed } from './installed.ts'

const at = (path: string): string => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'postern-spring-'))
afterAll(() => rmSync(folder, { recursive: true }))

const spring = installed('example-spring', { from: 'maven', folder: at('spring') })
identitySuite('spring', {
  needs: spring,
  command() {
    const classes = join(folder, 'classes')
    const source = at('spring/src/main/java/com/example/Application.java')
    execFileSync('javac', ['-d', classes, '-cp', `${spring.bin}/*`, source], { stdio: 'pipe', timeout: 60_000 })
    cpSync(at('spring/src/main/resources'), classes, { recursive: true })
    return ['java', '-cp', `${classes}:${spring.bin}/*`, 'com.example.Application']
  },
})
