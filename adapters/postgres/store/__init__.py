"""The ports that change something: activities, workers, accounts, alerts, controls, intake, retention."""
