# Builds the image of the signaling server: one stage builds, the final stage has no build tools and runs as an unprivileged user.

FROM node:22-bookworm-slim AS build
WORKDIR /app
# Dependencies first, because they change less often than the sources and then stay in the cache.
COPY package.json package-lock.json ./
COPY packages/protocol/package.json packages/protocol/
COPY packages/doctor/package.json packages/doctor/
COPY packages/server/package.json packages/server/
COPY packages/client/package.json packages/client/
COPY demo/package.json demo/
COPY scripts/api-docs/package.json scripts/api-docs/
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY packages/protocol packages/protocol
COPY packages/doctor packages/doctor
COPY packages/server packages/server
COPY packages/client packages/client
COPY demo demo
COPY scripts/build.js scripts/command.js scripts/pages.js scripts/prepare.js scripts/transpile.js scripts/typebox.js scripts/
RUN npm run build -- --server
# Removes what only the build needs, and the SQLite binding's sources and binaries for other systems.
RUN rm -rf node_modules/esbuild node_modules/@esbuild node_modules/typebox node_modules/node-addon-api
RUN cd node_modules/@photostructure/sqlite && rm -rf src && find prebuilds -mindepth 1 -maxdepth 1 ! -name "linux-$(node -p process.arch)" -exec rm -r {} +

FROM node:22-bookworm-slim
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/packages/protocol/package.json packages/protocol/
COPY --from=build /app/packages/protocol/dist packages/protocol/dist
COPY --from=build /app/packages/doctor/package.json packages/doctor/
COPY --from=build /app/packages/doctor/dist packages/doctor/dist
COPY --from=build /app/packages/server/package.json packages/server/
COPY --from=build /app/packages/server/schema packages/server/schema
COPY --from=build /app/packages/server/src/pairing/redis/lua packages/server/src/pairing/redis/lua
COPY --from=build /app/packages/server/bin packages/server/bin
COPY --from=build /app/packages/server/dist packages/server/dist
COPY --from=build /app/packages/server/public packages/server/public
RUN mkdir -m 700 /data && chown node:node /data
USER node
ENV PRODUCTION=1 USE_SQLITE=1 SQLITE_DB_PATH=/data/chat.db PORT=8080
# The folder of the program cannot be written, so no compiled code is kept there.
ENV NODE_DISABLE_COMPILE_CACHE=1
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT?.trim() || 8080}/`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Creates or migrates the database at every start; never deletes data.
CMD ["node", "packages/server/bin/couplet.js", "serve", "--sqlite"]
