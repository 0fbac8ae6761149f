import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { find, start, UNDER_TEST } from '../programs.ts'
import { originOf, type Peer } from './peer.ts'

const MODULES = '/usr/lib/apache2/modules'
const CALLBACK = '/oauth2/redirect'

/** Apache with mod_auth_openidc, the event MPM, sessions in its shared memory; no log. */
export const apache: Peer = {
  name: 'Apache + mod_auth_openidc',
  needs: {
    apache2: 'apt-get install apache2',
    [`${MODULES}/mod_auth_openidc.so`]: 'apt-get install libapache2-mod-auth-openidc',
  },
  versionOf: [['apache2', '-v']],
  callback: CALLBACK,
  start(place) {
    const home = `${place.directory}/apache`
    mkdirSync(home, { recursive: true })
    const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'proxy', 'proxy_http', 'auth_openidc']
    const file = `${home}/apache.conf`
    writeFileSync(
      file,
      `ServerRoot ${home}
PidFile ${home}/pid
DefaultRuntimeDir ${home}
Mutex pthread
ServerName app.localhost
Listen 127.0.0.1:${place.port}
ErrorLog ${home}/error.log
LogLevel crit
${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
User www-data
Group www-data
# None is ended or started while it is measured.
StartServers 2
ServerLimit 2
ThreadsPerChild 64
ThreadLimit 64
MaxRequestWorkers 128
MinSpareThreads 1
MaxSpareThreads 128
MaxConnectionsPerChild 0
KeepAlive On
KeepAliveTimeout 60
MaxKeepAliveRequests 0
OIDCProviderMetadataURL ${place.okta}/.well-known/openid-configuration
OIDCClientID ${DEMO.clientId}
OIDCClientSecret ${DEMO.clientSecret}
OIDCRedirectURI ${originOf(place)}${CALLBACK}
OIDCCryptoPassphrase ${randomBytes(16).toString('hex')}
OIDCScope "openid profile email groups"
OIDCPKCEMethod S256
<Location />
  AuthType openid-connect
  Require claim groups:Engineering
</Location>
ProxyPass / http://127.0.0.1:${place.upstream}/
`,
    )
    return Promise.resolve(start(UNDER_TEST, [find('apache2') ?? '', '-DFOREGROUND', '-f', file]))
  },
}
