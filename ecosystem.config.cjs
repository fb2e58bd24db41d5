// For PM2: `pm2 start ecosystem.config.cjs`, then `pm2 status`, `pm2 logs polyport`, `pm2 reload polyport`, `pm2 stop polyport`.
module.exports = {
  apps: [
    {
      name: 'polyport',
      script: process.env.POLYPORT_BIN || 'polyport',
      args: 'serve',
      interpreter: 'none',
      exec_mode: 'fork',
      instances: 1,
      autorestart: true,
      restart_delay: 2000,
      max_restarts: 10,
      min_uptime: '10s',
      // SIGINT; streams may end for limits.drain (30 s).
      kill_timeout: 35000,
      merge_logs: true,
      time: false,
    },
  ],
};
