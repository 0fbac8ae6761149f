/** The examples that verify the identity JWT, each in a language of its own. */
import { fileURLToPath } from 'node:url'
import { identitySuite } from './identity-suite.ts'
import { installed } from './installed.ts'

const at = (folder: string): string => fileURLToPath(new URL(`../../examples/verify-jwt/${folder}`, import.meta.url))

// jose is one of ours, too.
identitySuite('verify-jwt/node', {
  needs: { bin: '', name: (suite) => suite },
  command: () => [process.execPath, at('node/server.mjs')],
})

const python = installed('verify-jwt-python', { from: 'requirements', file: at('python/requirements.txt') })
identitySuite('verify-jwt/python', { needs: python, command: () => [`${python.bin}/python`, at('python/server.py')] })

const go = installed('verify-jwt-go', { from: 'go', folder: at('go') })
identitySuite('verify-jwt/go', { needs: go, command: () => [`${go.bin}/program`] })

const java = installed('verify-jwt-java', { from: 'maven', folder: at('java') })
identitySuite('verify-jwt/java', {
  needs: java,
  command: () => ['java', '-cp', `${java.bin}/*`, at('java/Server.java')],
})
